use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::{Context, Result};
use artifact_store::{ArtifactStore, Attributes, ErrorKind, Info, Mode, WriteOptions};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueHint};

use super::gone;
use super::tree::{self, Direction, How, prefix_of};
use crate::failure::{self, Refused, Usage};
use crate::input::Input;
use crate::interrupt::Interrupt;
use crate::message;
use crate::progress::Progress;
use crate::shown;
use crate::store::StoreArguments;
use crate::units;

/// Stores a file, standard input or, with -r, a directory of files
///
/// An existing artifact is replaced atomically, after all bytes have been read and stored durably.
/// After a failure or Ctrl-C nothing has changed.
#[derive(Args)]
#[command(after_help = "\
A pipe that ends early looks like a complete one: if `produce` fails in
`produce | artifact-store put k`, what it wrote until then is stored. If the size is known,
--size prevents this.

Examples:
  artifact-store put builds/app-1.2 app.tar
  artifact-store put builds/app-1.2 app.tar --create    # only if the key has no artifact
  artifact-store put state new.json --if-match 0b9c…    # only over that version, which stat shows
  artifact-store put page index.html --content-type text/html --meta build=17
  tar c src | artifact-store put snapshots/src
  artifact-store put -r src snapshots/42/               # each file of it, as `sync` does
  produce | artifact-store put big --size 1GiB          # any other size stores nothing")]
pub struct Arguments {
    /// The key of the artifact; with -r the directory
    #[arg(value_name = "KEY|DIR")]
    key: String,

    /// The file to store; `-`, the default, is standard input (`./-` is a file named `-`); with -r
    /// the prefix of the keys
    #[arg(value_name = "FILE|PREFIX", value_hint = ValueHint::FilePath)]
    file: Option<OsString>,

    /// Store only if the key has no artifact; otherwise exit with 4
    #[arg(long, visible_alias = "if-none-match")]
    create: bool,

    /// Store only if the artifact under the key has this version; otherwise exit with 4
    #[arg(long, value_name = "VERSION", conflicts_with = "create")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    if_match: Option<String>,

    /// What the bytes are: the attribute `content-type`, such as `text/html`
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,

    /// An attribute to store with the artifact (repeatable)
    ///
    /// A name has lower-case letters, digits and `-`; `content-encoding`, `content-disposition`,
    /// `content-language` and `cache-control` have the meaning of the HTTP headers. All names and
    /// values together have at most 2048 bytes.
    #[arg(long, value_name = "NAME=VALUE", value_parser = attribute)]
    meta: Vec<(String, String)>,

    /// The exact size of the input; if it has another size, nothing is stored
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    size: Option<u64>,

    /// Store every file of the directory DIR under PREFIX and its path in it
    ///
    /// A `/` is added behind a PREFIX without one. `artifact-store help sync` says which files are
    /// skipped because they are there already, and which ones cannot be stored.
    #[arg(short, long)]
    #[arg(conflicts_with_all = ["create", "if_match", "content_type", "meta", "size"])]
    recursive: bool,

    /// With -r: store what symbolic links lead to, instead of naming them as failures
    // Clap forgets what is required where something else conflicts with it.
    #[arg(long, requires = "recursive")]
    #[arg(conflicts_with_all = ["create", "if_match", "content_type", "meta", "size"])]
    follow: bool,

    #[command(flatten, next_help_heading = "Options of -r")]
    tree: tree::Options,
}

pub async fn run(
    store: &StoreArguments,
    arguments: Arguments,
    interrupt: &Interrupt,
) -> Result<u8> {
    if arguments.recursive {
        return tree::run(store, arguments.tree()?, interrupt).await;
    }
    arguments.tree.check_unused("-r")?;
    one(store, arguments, interrupt).await.map(|()| 0)
}

async fn one(store: &StoreArguments, arguments: Arguments, interrupt: &Interrupt) -> Result<()> {
    let options = arguments.options()?;
    let Arguments { key, file, size, create, if_match, .. } = arguments;
    if file.as_deref().is_some_and(OsStr::is_empty) {
        return Err(Usage("the name of FILE is empty; `-` is standard input".into()).into());
    }
    let mode = mode(create, if_match);
    let cannot = || format!("cannot put `{}`", shown::name(&key));
    let (mut input, mut writer) = interrupt
        .or(async {
            let input = match file.as_deref().map(Path::new).filter(|path| *path != Path::new("-"))
            {
                Some(path) => Input::file(path).await,
                None => Input::standard(),
            };
            let input = input.with_context(cannot)?;
            let options = options.size(size.or(input.size())).mode(mode.clone());
            let (store, made) = store.create().await?;
            let writer = store.writer(&key, options)?;
            look(&store, &key, &mode).await.with_context(cannot)?;
            made.keep();
            Ok((input, writer))
        })
        .await?;
    if input.is_terminal() {
        message::print("reading from the terminal; end with Ctrl-D at the beginning of a line");
    }
    let mut progress = Progress::new("put", size.or(input.size()));
    let sending = input.send(size, &mut writer, |count| progress.add(count));
    match interrupt.or(sending).await {
        Ok(sent) => {
            // From here on it is the backend's: the interrupt came too late, and the outcome is true.
            writer.commit().await?;
            if sent == 0 && file.is_none() && Path::new(&key).is_file() {
                message::print(&format!(
                    "standard input was empty, so an empty artifact was stored; to store the \
                     file `{0}`, use `artifact-store put KEY {0}`",
                    shown::name(&key)
                ));
            }
            Ok(())
        }
        Err(error) => {
            writer.abort().await;
            // The store's own errors name the key.
            let own = failure::find::<artifact_store::Error>(&error).is_some();
            Err(if own { error } else { error.context(cannot()) })
        }
    }
}

impl Arguments {
    /// The tree to store.
    fn tree(self) -> Result<How> {
        let prefix = match self.file.map(OsString::into_string) {
            None => String::new(),
            Some(Ok(prefix)) => prefix_of(prefix),
            Some(Err(_)) => return Err(Usage("PREFIX has to be UTF-8".into()).into()),
        };
        Ok(How {
            direction: Direction::Up,
            root: self.key.into(),
            prefix,
            keys: None,
            options: self.tree,
            delete: false,
            follow: self.follow,
            needs_some: false,
        })
    }

    /// How to store it, but for the size and the condition.
    fn options(&self) -> Result<WriteOptions> {
        let mut attributes = Attributes::new();
        let content_type = self.content_type.iter().map(|kind| ("content-type", kind.as_str()));
        let meta = self.meta.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in content_type.chain(meta) {
            if attributes.get(name).is_some() {
                let text = format!("the attribute `{}` is given twice", shown::name(name));
                return Err(Usage(text).into());
            }
            attributes = attributes.with(name, value);
        }
        Ok(WriteOptions::default().attributes(attributes))
    }
}

/// What the options --create and --if-match ask for, of which there is one at most.
pub fn mode(create: bool, if_match: Option<String>) -> Mode {
    match if_match {
        Some(version) => Mode::Replace(version),
        None if create => Mode::Create,
        None => Mode::Overwrite,
    }
}

/// Fails where the condition does not hold: the input may be long, or be typed. The backend looks again
/// when everything has been read.
async fn look(store: &ArtifactStore, key: &str, mode: &Mode) -> Result<(), Refused> {
    match mode {
        Mode::Create => match gone::is_absent(store, key).await {
            Ok(false) => Err(Refused::Taken),
            _ => Ok(()),
        },
        Mode::Replace(version) => match store.stat(key).await {
            Ok(Info { version: Some(found), .. }) if found != *version => Err(Refused::Changed),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound) => Err(Refused::Changed),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
