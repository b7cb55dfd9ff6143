//! Where bytes go: standard output, another descriptor, or a file that appears whole or not at all.

mod attributes;
mod destination;
mod file;
mod sink;
mod standard;

use std::path::Path;

use anyhow::{Context, Result};

use crate::descriptor::{self, Patient};
use crate::offload::offload;
pub use destination::Destination;
pub use file::Target;
use sink::Sink;
pub use standard::{Closed, Standard};

/// Where a command's `-o` leads.
pub enum Output {
    Standard(Standard),
    /// Anything else, and what messages call it.
    Other {
        sink: Sink,
        target: Option<Target>,
        name: String,
    },
}

impl Output {
    /// `-` and nothing are standard output.
    pub async fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::Standard(Standard::open()?));
        };
        let name = format!("`{}`", path.display());
        let cannot = || format!("cannot write {name}");
        let looked_at = path.to_owned();
        match offload(move || Destination::of(&looked_at)).await.with_context(cannot)? {
            Destination::Descriptor(descriptor::OUTPUT) => Ok(Self::Standard(Standard::open()?)),
            Destination::Descriptor(number) => {
                let sink = Sink::new(descriptor::for_writing(number).with_context(cannot)?);
                Ok(Self::Other { sink, target: None, name })
            }
            place => {
                let called = name.clone();
                let target = match place {
                    // Opening a pipe waits for its reader.
                    Destination::Special(_) => offload(|| Target::open(place, called)).await,
                    _ => Target::open(place, called),
                };
                Self::to(target.with_context(cannot)?, name)
            }
        }
    }

    /// A file that is open.
    pub fn to(target: Target, name: String) -> Result<Self> {
        let writer = target.writer().with_context(|| format!("cannot write {name}"))?;
        let sink = Sink::new(Box::new(Patient::new(writer)));
        Ok(Self::Other { sink, target: Some(target), name })
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Standard(standard) => standard.write(bytes).await,
            Self::Other { sink, name, .. } => {
                sink.write(bytes).await.with_context(|| format!("cannot write {name}"))
            }
        }
    }

    /// All is written: makes it durable and visible.
    pub async fn finish(self) -> Result<()> {
        match self {
            Self::Standard(mut standard) => standard.finish().await,
            Self::Other { mut sink, target, name } => {
                let finished = async {
                    sink.flush().await?;
                    match target {
                        Some(target) => target.finish().await,
                        None => Ok(()),
                    }
                };
                finished.await.with_context(|| format!("cannot write {name}"))
            }
        }
    }
}
