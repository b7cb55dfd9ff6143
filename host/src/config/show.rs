//! A store in the format of the file, for people, without the values of variables.

use std::fmt;
use std::time::Duration;

use toml::Value;

use super::{Component, StoreConfiguration};
use crate::backend::SWEEP;
use crate::{Limits, LoadLimits};
#[cfg(feature = "network")]
use crate::{
    Sign,
    backend::Signed,
    grants::{Kind, S3Credentials},
};

/// Replaces a value.
pub(super) const HIDDEN: &str = "(hidden)";

impl fmt::Display for StoreConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = key(&self.name);
        writeln!(f, "[stores.{name}]")?;
        let backend = match &self.component {
            Component::Fs => "fs".into(),
            #[cfg(feature = "network")]
            Component::S3(_) => "s3".into(),
            Component::File(file) => file.to_string_lossy(),
        };
        writeln!(f, "backend = {}", quoted(&backend))?;
        match &self.digest {
            Some(digest) => writeln!(f, "digest = {}", quoted(digest))?,
            None => writeln!(f, "# no digest: any component is taken")?,
        }
        let literal = self.grants.env.iter().map(|(name, _)| (&**name, HIDDEN));
        table(f, "env", literal)?;
        let secrets = self.secrets.iter().map(|secret| (&*secret.name, &*secret.from));
        table(f, "env-from", secrets)?;
        #[cfg(feature = "network")]
        self.network(f)?;
        let by_default = match &self.component {
            #[cfg(feature = "network")]
            Component::S3(_) => None,
            _ => Some(SWEEP),
        };
        let age = match self.sweep.unwrap_or(by_default) {
            Some(age) => humantime::format_duration(age).to_string(),
            None => "never".into(),
        };
        writeln!(f, "sweep-older-than = {}", quoted(&age))?;
        writeln!(f, "limits = {{ {} }}", limits(&self.limits))?;
        if !self.layers.is_empty() {
            let layers: Vec<_> = self.layers.iter().map(|layer| layer.to_string()).collect();
            writeln!(f, "layers = [{}]", layers.join(", "))?;
        }
        for dir in &self.grants.directories {
            writeln!(f, "\n[[stores.{name}.directories]]")?;
            writeln!(f, "host = {}", quoted(&dir.host.to_string_lossy()))?;
            writeln!(f, "guest = {}", quoted(&dir.guest))?;
            writeln!(f, "read-only = {}", !dir.writable)?;
        }
        Ok(())
    }
}

#[cfg(feature = "network")]
impl StoreConfiguration {
    fn network(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Component::S3(signed) = &self.component {
            let signer = match signed {
                Signed::Variables(Sign::Backend) => "backend",
                _ => "host",
            };
            writeln!(f, "sign = {}", quoted(signer))?;
            if let Signed::With(S3Credentials(Kind::Aws { profile })) = signed {
                writeln!(f, "credentials = \"aws\"")?;
                profile.iter().try_for_each(|it| writeln!(f, "aws-profile = {}", quoted(it)))?;
            }
        }
        let endpoints: Vec<_> = self.grants.endpoints.iter().map(|url| quoted(url)).collect();
        if !endpoints.is_empty() {
            writeln!(f, "network = [{}]", endpoints.join(", "))?;
        }
        for file in &self.grants.authorities {
            writeln!(f, "certificate-authority = {}", quoted(&file.to_string_lossy()))?;
        }
        // The proxy may contain a password.
        self.grants.proxy.iter().try_for_each(|_| writeln!(f, "proxy = {}", quoted(HIDDEN)))
    }
}

/// All limits, as the entries of a table.
pub(super) fn limits(limits: &Limits) -> String {
    format!(
        "call-timeout = {}, least-rate = {}, turn-timeout = {}, pause-timeout = {}, memory = {}, \
         buffer = {}, handles = {}, concurrency = {}, transfers = {}, load = {{ {} }}",
        time(limits.call_timeout),
        quoted(&size(limits.least_rate)),
        time(limits.turn_timeout),
        time(limits.pause_timeout),
        quoted(&size(limits.memory)),
        quoted(&size(limits.buffer)),
        limits.handles,
        limits.concurrency,
        limits.transfers,
        load(&limits.load)
    )
}

/// The limits of loading, as the entries of a table.
fn load(limits: &LoadLimits) -> String {
    let time = humantime::format_duration(limits.time).to_string();
    let mut text = format!("time = {}, memory = {}", quoted(&time), quoted(&size(limits.memory)));
    for (name, is_size, limit) in limits.clone().counts() {
        let value = if is_size { quoted(&size(*limit)) } else { limit.to_string() };
        text.push_str(&format!(", {name} = {value}"));
    }
    text
}

fn table<'a>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    entries: impl Iterator<Item = (&'a str, &'a str)>,
) -> fmt::Result {
    inline(entries).map_or(Ok(()), |entries| writeln!(f, "{name} = {entries}"))
}

/// An inline table of texts; `None` if it would be empty.
pub(super) fn inline<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let entries: Vec<_> =
        entries.map(|(name, value)| format!("{} = {}", key(name), quoted(value))).collect();
    (!entries.is_empty()).then(|| format!("{{ {} }}", entries.join(", ")))
}

fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(is_bare) { name.into() } else { quoted(name) }
}

pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn time(time: Duration) -> String {
    quoted(&humantime::format_duration(time).to_string())
}

/// The number of bytes in the largest unit that expresses it exactly.
fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.into_iter().find(|(bits, _)| bytes.trailing_zeros() >= *bits);
    match unit {
        Some((bits, unit)) if bytes > 0 => format!("{}{unit}", bytes >> bits),
        _ => format!("{bytes}B"),
    }
}
