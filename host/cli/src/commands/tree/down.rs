//! From the store to a directory.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result};
use artifact_store::{Entry, Info, ReadOptions};
use futures::{StreamExt, TryStreamExt, stream};

use super::clash;
use super::local::{self, SMALL, There};
use super::twins::Twins;
use super::{Direction, Tree, is_settled, lasting};
use crate::commands::gone;
use crate::commands::report::{DELETIONS, EmptySource, Outcome, Report};
use crate::commands::transfer;
use crate::failure::{Nothing, Single};
use crate::output::Output;
use crate::shown;

/// Places that are looked at in one step.
const LOOKS: usize = 256;

/// Such steps at once.
const AHEAD: usize = 4;

struct Artifact {
    key: String,
    size: u64,
    modified: Option<SystemTime>,
}

impl From<Entry> for Artifact {
    fn from(Entry { key, size, modified, .. }: Entry) -> Self {
        Self { key, size, modified }
    }
}

/// An artifact, its name below the directory, and what is in its place.
type Seen = (Artifact, String, Result<There, Single>);

/// The same where there can be a file.
struct Wanted {
    entry: Artifact,
    name: String,
    there: There,
}

/// In a dry run nothing takes the place of another one: it is found here.
fn rehearse(root: &Path, seen: &mut [Seen]) {
    let free = seen.iter().filter(|(.., there)| there.is_ok());
    let names: Vec<_> = free.map(|(_, name, _)| name.clone()).collect();
    let mut clashes = clash::among(root, names.iter().map(String::as_str));
    for (_, name, there) in seen {
        if let Some(error) = clashes.remove(&**name) {
            *there = Err(error);
        }
    }
}

impl Tree<'_> {
    pub(super) async fn down(&self, report: &mut Report) -> Result<()> {
        let prefix = &self.how.prefix;
        let mut seen = match &self.how.keys {
            Some(keys) => self.look_up(keys, report).await?,
            None => match self.interrupt.or(self.look()).await {
                Ok(seen) => seen,
                Err(error) => return report.add(None, Err(error)).await.map(drop),
            },
        };
        if seen.is_empty() && self.how.needs_some {
            let text = format!("no key begins with `{}`", shown::name(prefix));
            return Err(Nothing(text).into());
        }
        if seen.is_empty() && self.how.keys.is_some() {
            return Ok(());
        }
        let root: Arc<Path> = self.root().await?.into();
        let names: HashSet<_> = match self.how.delete {
            true => seen.iter().map(|(entry, ..)| entry.key[prefix.len()..].to_owned()).collect(),
            false => HashSet::new(),
        };
        if self.how.options.dry_run {
            rehearse(&root, &mut seen);
        }
        let mut wanted = Vec::with_capacity(seen.len());
        for (entry, name, there) in seen {
            match there {
                Ok(there) => wanted.push(Wanted { entry, name, there }),
                Err(error) => {
                    let artifact = Some((&*entry.key, Some(entry.size)));
                    report.add(artifact, Err(error.into())).await?;
                }
            }
        }
        let bytes = wanted.iter().map(|wanted| wanted.entry.size).sum();
        self.progress.borrow_mut().expect(wanted.len() as u64, bytes);
        let twins = Twins::among(wanted.iter().map(|wanted| &*wanted.name));
        let work = |wanted: Wanted| {
            let (root, twins) = (&root, &twins);
            async move {
                let outcome = self.get_apart(&wanted, root, twins).await;
                let is_copied = matches!(outcome, Ok(Outcome::Copied(_)));
                let Artifact { key, size, .. } = wanted.entry;
                self.progress.borrow_mut().done(if is_copied { 0 } else { size });
                (key, size, outcome)
            }
        };
        report.each(wanted, self.how.options.jobs(), self.interrupt, work).await?;
        if report.is_complete() {
            let holes = report.gone.still_listed(&self.store.store, prefix);
            let holes = self.interrupt.or(holes).await;
            report.holes(holes).await?;
        }
        if self.how.delete && report.is_complete() {
            self.delete(root, names, report).await?;
        }
        Ok(())
    }

    /// The directory, without links; it is made where it is absent.
    async fn root(&self) -> Result<PathBuf> {
        let (root, dry_run) = (self.how.root.clone(), self.how.options.dry_run);
        let cannot = format!("cannot write `{}`", root.display());
        let made = self.threads.run(move || match fs::canonicalize(&root) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && dry_run => Ok(root),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                fs::create_dir_all(&root).and_then(|()| fs::canonicalize(&root))
            }
            outcome => outcome,
        });
        made.await?.context(cannot)
    }

    /// The same, but nothing is made.
    async fn real_root(&self) -> Result<Arc<Path>> {
        let root = self.how.root.clone();
        Ok(self.threads.run(move || fs::canonicalize(&root).unwrap_or(root)).await?.into())
    }

    /// All artifacts, and what is in the place of each, which is looked at while the listing goes on.
    async fn look(&self) -> Result<Vec<Seen>> {
        let (root, begin) = (self.real_root().await?, self.how.prefix.len());
        let listing = self.store.store.list(&self.how.prefix);
        let pages = stream::try_unfold(listing, async |mut listing| {
            let mut page = Vec::new();
            while page.len() < LOOKS {
                let Some(entry) = self.store.blame(listing.next().await)? else { break };
                page.push(entry);
            }
            Ok((!page.is_empty()).then_some((page, listing)))
        });
        let looks = pages.map_ok(|page: Vec<Entry>| {
            let root = root.clone();
            let look = move |entry: Entry| {
                let name = entry.key[begin..].to_owned();
                let there = local::look(&root, &name);
                (entry.into(), name, there)
            };
            let looks = self.threads.run(move || page.into_iter().map(look).collect::<Vec<_>>());
            async { Ok::<_, anyhow::Error>(looks.await?) }
        });
        let mut looks = pin!(looks.try_buffered(AHEAD));
        let mut seen = Vec::new();
        while let Some(some) = looks.try_next().await? {
            seen.extend(some);
        }
        Ok(seen)
    }

    /// These artifacts, and what is in the place of each; none if the store does not answer. One that
    /// is not there is a failure.
    async fn look_up(&self, keys: &[String], report: &mut Report) -> Result<Vec<Seen>> {
        let root = self.real_root().await?;
        let looks = stream::iter(keys).map(async |key| (key, self.look_at(key, &root).await));
        let looks = looks.buffered(self.how.options.jobs());
        let mut looks = pin!(looks.take_until(self.interrupt.happened()));
        let mut seen = Vec::with_capacity(keys.len());
        while let Some((key, outcome)) = looks.next().await {
            match outcome {
                Ok(found) => seen.push(found),
                Err(error) => {
                    if !report.add(Some((key, None)), Err(error)).await? {
                        report.is_cut(None);
                        return Ok(Vec::new());
                    }
                }
            }
        }
        if let Some(interrupted) = self.interrupt.so_far() {
            report.is_cut(Some(interrupted));
            return Ok(Vec::new());
        }
        Ok(seen)
    }

    async fn look_at(&self, key: &str, root: &Arc<Path>) -> Result<Seen> {
        let reader = self.store.store.read(key, ReadOptions::default().length(0)).await?;
        let Info { size, modified, .. } = *reader.info();
        let (root, name) = (root.clone(), key.to_owned());
        let there = self.threads.run(move || local::look(&root, &name)).await?;
        Ok((Artifact { key: key.to_owned(), size, modified }, key.to_owned(), there))
    }

    /// Writes no file that another artifact of this run has become.
    async fn get_apart(&self, wanted: &Wanted, root: &Arc<Path>, twins: &Twins) -> Result<Outcome> {
        let name = &wanted.name;
        let mut written = twins.of(name).await;
        if let Some(before) = written
            .iter()
            .flat_map(|names| names.iter())
            .find(|before| local::is_one_file(&root.join(name), &root.join(before.as_str())))
        {
            let (name, before) = (shown::name(name), shown::name(before));
            let text = format!(
                "`{name}` is the file of `{before}`: this filesystem does not tell them apart"
            );
            return Err(Single(text).into());
        }
        let outcome = self.get(wanted, root).await;
        if let Some(written) = &mut written {
            written.push(name.clone());
        }
        outcome
    }

    async fn get(&self, wanted: &Wanted, root: &Arc<Path>) -> Result<Outcome> {
        let Wanted { entry, name, there } = wanted;
        if let There::File(file) = there
            && file.len() == entry.size
        {
            // Who names a key wants its bytes.
            let looks_at_time = self.how.keys.is_none() && !self.how.options.checksum;
            if looks_at_time && is_settled(Direction::Down, file.modified().ok(), entry.modified) {
                return Ok(Outcome::Present);
            }
            if self.is_alike(root, name, entry.size).await? {
                // The next time its time tells.
                let lasting = lasting(entry.modified);
                if let Some(modified) = lasting.filter(|_| !self.how.options.dry_run) {
                    let (root, name) = (root.clone(), name.clone());
                    drop(self.threads.run(move || local::date(&root, &name, modified)).await?);
                }
                return Ok(Outcome::Present);
            }
        }
        if self.how.options.dry_run {
            return Ok(Outcome::WouldCopy);
        }
        match self.interrupt.or(self.fetch(&entry.key, name, root)).await {
            Ok(size) => Ok(Outcome::Copied(size)),
            Err(error) if self.how.keys.is_none() && transfer::is_absent(&error) => {
                match gone::is_absent(&self.store.store, &entry.key).await {
                    Ok(true) => Ok(Outcome::Gone),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the file of an artifact; its size.
    async fn fetch(&self, key: &str, name: &str, root: &Arc<Path>) -> Result<u64> {
        let mut reader = self.store.store.read(key, ReadOptions::default()).await?;
        let (size, modified) = (reader.info().size, lasting(reader.info().modified));
        let (root, name) = (root.clone(), name.to_owned());
        if size <= SMALL {
            let mut chunks = Vec::new();
            while let Some(chunk) = reader.next_chunk().await? {
                chunks.push(chunk);
            }
            let write = move || local::write(&root, &name, &chunks, modified);
            self.threads.run(write).await??;
            self.progress.borrow_mut().add(size);
            return Ok(size);
        }
        let shown = format!("`{}`", root.join(&name).display());
        let create = move || local::create(&root, &name, modified);
        let mut output = Output::to(self.threads.run(create).await??, shown)?;
        while let Some(chunk) = reader.next_chunk().await? {
            output.write(&chunk).await?;
            self.progress.borrow_mut().add(chunk.len() as u64);
        }
        output.finish().await?;
        Ok(size)
    }

    /// Removes the files that only the directory has.
    async fn delete(
        &self,
        root: Arc<Path>,
        names: HashSet<String>,
        report: &mut Report,
    ) -> Result<()> {
        let walked = root.clone();
        let walk = self.threads.run(move || local::walk(&walked, false));
        let walked = self.interrupt.or(async { Ok(walk.await?) }).await?;
        let mut extra = walked.files;
        extra.retain(|file| !names.contains(&file.name));
        if !extra.is_empty() {
            // A filesystem that folds case keeps the name that a file had before.
            let folded: HashMap<_, _> =
                names.iter().map(|name| (name.to_lowercase(), name)).collect();
            let is_meant = |name: &str| {
                folded.get(&name.to_lowercase()).is_some_and(|meant| {
                    local::is_one_file(&root.join(name), &root.join(meant.as_str()))
                })
            };
            extra.retain(|file| !is_meant(&file.name));
        }
        if names.is_empty() && !extra.is_empty() {
            return report.add(None, Err(EmptySource.into())).await.map(drop);
        }
        for problem in walked.problems {
            // What is in the way of an artifact was named already.
            let above = format!("{}/", problem.name);
            let is_in_the_way = |name: &String| *name == problem.name || name.starts_with(&above);
            if problem.is_gap || !names.iter().any(is_in_the_way) {
                let key = self.key(&problem.name);
                let artifact = (!problem.is_gap).then_some((&*key, None));
                report.add(artifact, Err(problem.error.into())).await?;
            }
        }
        let dry_run = self.how.options.dry_run;
        let removed: Vec<_> = extra.iter().map(|file| file.name.clone()).collect();
        let work = |file: local::Found| {
            let path = root.join(&file.name);
            async move {
                let cannot = format!("cannot delete `{}`", path.display());
                let outcome = match dry_run {
                    true => Ok(Outcome::WouldDelete),
                    false => match self.threads.run(move || fs::remove_file(path)).await {
                        Ok(outcome) => outcome.context(cannot).map(|()| Outcome::Deleted),
                        Err(error) => Err(error.into()),
                    },
                };
                (self.key(&file.name), file.size, outcome)
            }
        };
        report.each(extra, DELETIONS, self.interrupt, work).await?;
        if !dry_run {
            let root = root.clone();
            self.threads.run(move || local::remove_empty(&root, &removed)).await?;
        }
        Ok(())
    }
}
