//! From a directory to the store.

use std::collections::HashMap;
use std::fs;

use anyhow::{Context, Result};
use artifact_store::{Entry, Interface, WriteOptions};

use super::local::{self, Content, Found, Walked};
use super::{Direction, Tree, is_settled};
use crate::commands::report::{Outcome, Report};
use crate::commands::transfer;
use crate::failure::{Single, Usage};
use crate::input::Input;

/// How often a file is stored that changes meanwhile.
const TRIES: usize = 3;

impl Tree<'_> {
    pub(super) async fn up(&self, report: &mut Report) -> Result<()> {
        let (walked, mut there) = match self.interrupt.or(self.both()).await {
            Ok(both) => both,
            Err(error) => return report.add(None, Err(error)).await.map(drop),
        };
        let is_empty = walked.files.is_empty() && walked.problems.is_empty();
        for problem in walked.problems {
            let key = self.key(&problem.name);
            there.remove(&key);
            let artifact = (!problem.is_gap).then_some((&*key, None));
            report.add(artifact, Err(problem.error.into())).await?;
        }
        let pair = |file: Found| {
            let entry = there.remove(&self.key(&file.name));
            (file, entry)
        };
        let files: Vec<_> = walked.files.into_iter().map(pair).collect();
        let bytes = files.iter().map(|(file, _)| file.size).sum();
        self.progress.borrow_mut().expect(files.len() as u64, bytes);
        let work = |(file, entry): (Found, Option<Entry>)| async move {
            let outcome = self.put(&file, entry.as_ref()).await;
            let is_copied = matches!(outcome, Ok(Outcome::Copied(_)));
            self.progress.borrow_mut().done(if is_copied { 0 } else { file.size });
            (self.key(&file.name), file.size, outcome)
        };
        report.each(files, self.how.options.jobs(), self.interrupt, work).await?;
        if self.how.delete && report.is_complete() {
            let (extra, dry_run) = (there.into_values().collect(), self.how.options.dry_run);
            report.delete(&self.store, extra, is_empty, dry_run, self.interrupt).await?;
        }
        Ok(())
    }

    /// What is in the directory, and in the store.
    async fn both(&self) -> Result<(Walked, HashMap<String, Entry>)> {
        let (root, follow) = (self.how.root.clone(), self.how.follow);
        let walk = async {
            let cannot = format!("cannot read `{}`", root.display());
            let walk = move || Ok(local::walk(&fs::canonicalize(root)?, follow));
            self.threads.run(walk).await?.map_err(|e: std::io::Error| e).context(cannot)
        };
        tokio::try_join!(walk, self.stored())
    }

    /// What the store has below the prefix, by its key.
    async fn stored(&self) -> Result<HashMap<String, Entry>> {
        if !self.store.store.offers(Interface::Inventory) {
            if self.how.delete {
                let text = "--delete needs a backend that can list, and this one cannot";
                return Err(Usage(text.into()).into());
            }
            return Ok(HashMap::new());
        }
        let entries = transfer::list_all(&self.store, &self.how.prefix).await?;
        Ok(entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect())
    }

    async fn put(&self, file: &Found, entry: Option<&Entry>) -> Result<Outcome> {
        if let Some(entry) = entry.filter(|entry| entry.size == file.size) {
            let is_settled = is_settled(Direction::Up, file.modified, entry.modified);
            if is_settled && !self.how.options.checksum
                || self.is_alike(&self.how.root, &file.name, file.size).await?
            {
                return Ok(Outcome::Present);
            }
        }
        if self.how.options.dry_run {
            return Ok(Outcome::WouldCopy);
        }
        let (key, path) = (self.key(&file.name), self.how.root.join(&file.name));
        for _ in 0..TRIES {
            let (read, follow) = (path.clone(), self.how.follow);
            let content = self.threads.run(move || local::read(&read, follow)).await??;
            let (file, metadata) = match content {
                Content::Whole(bytes) => {
                    let size = bytes.len() as u64;
                    self.store.store.put(&key, bytes).await?;
                    self.progress.borrow_mut().add(size);
                    return Ok(Outcome::Copied(size));
                }
                Content::Open(file, metadata) => (file, metadata),
            };
            let mut input = Input::opened(file, &metadata, format!("`{}`", path.display()))?;
            let sent = self.send(&mut input, &key).await?;
            // Its artifact may be newer than a change that came while it was made durable.
            if input.check_unchanged(sent).await.is_ok() {
                return Ok(Outcome::Copied(sent));
            }
        }
        Err(Single(format!("`{}` changes again and again while it is stored", path.display()))
            .into())
    }

    /// Stores a large file; after a failure or an interrupt nothing of it is left.
    async fn send(&self, input: &mut Input, key: &str) -> Result<u64> {
        let options = WriteOptions::default().size(input.size());
        let mut writer = self.store.store.writer(key, options)?;
        let passed = |count| self.progress.borrow_mut().add(count);
        let sending = input.send(None, &mut writer, passed);
        match self.interrupt.or(sending).await {
            Ok(sent) => {
                writer.commit().await?;
                Ok(sent)
            }
            Err(error) => {
                writer.abort().await;
                Err(error)
            }
        }
    }
}
