use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use serde::Serialize;

use super::sink::Sink;
use crate::descriptor;
use crate::shown;

/// The reader of standard output closed it: it has seen enough, and nothing is wrong.
#[derive(Debug, thiserror::Error)]
#[error("the reader of standard output closed it")]
pub struct Closed;

/// Standard output, with failures that can be told apart from all others.
pub struct Standard {
    sink: Sink,
    is_terminal: bool,
    goes_on: bool,
}

impl Standard {
    /// # Errors
    ///
    /// Where the process was started with a closed standard output, or with one that it cannot
    /// write to.
    pub fn open() -> Result<Self> {
        let writer = descriptor::for_writing(descriptor::OUTPUT);
        let sink = Sink::new(writer.context("cannot write standard output")?);
        Ok(Self { sink, is_terminal: io::stdout().is_terminal(), goes_on: false })
    }

    /// For a command whose work is not its output: when the reader closes it, the work goes on
    /// and the rest is written nowhere.
    pub fn and_goes_on(self) -> Self {
        Self { goes_on: true, ..self }
    }

    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let outcome = self.sink.write(bytes).await;
        self.check(outcome)
    }

    /// Writes what people read. What a terminal must not show is escaped there, and only there.
    pub async fn text(&mut self, text: &str) -> Result<()> {
        match self.is_terminal {
            true => self.write(shown::text(text).as_bytes()).await,
            false => self.write(text.as_bytes()).await,
        }
    }

    /// Writes a line of JSON, escaped likewise.
    pub async fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_string(value)?;
        line.push('\n');
        match self.is_terminal {
            true => self.write(shown::json(&line).as_bytes()).await,
            false => self.write(line.as_bytes()).await,
        }
    }

    /// Returns when all is written.
    pub async fn finish(&mut self) -> Result<()> {
        let outcome = self.sink.flush().await;
        self.check(outcome)
    }

    fn check(&mut self, outcome: io::Result<()>) -> Result<()> {
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                if !self.goes_on {
                    return Err(Closed.into());
                }
                self.sink = Sink::new(Box::new(io::sink()));
                Ok(())
            }
            outcome => outcome.context("cannot write standard output"),
        }
    }
}
