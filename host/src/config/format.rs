//! The format of the file, which `docs/configuration.md` describes: from text to stores.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::apart::{self, Named};
use super::serve::{self, Serve};
use super::table::{Problems, Table, Value};
use super::{Component, Problem, StoreConfiguration, layers, network, secrets};
use crate::backend::Lines;
use crate::text::foreign_name;
use crate::{Cache, Grants, Limits, LoadLimits};

/// The keys of `limits`.
const LIMITS: [&str; 9] = [
    "call-timeout",
    "least-rate",
    "turn-timeout",
    "pause-timeout",
    "memory",
    "buffer",
    "handles",
    "concurrency",
    "transfers",
];

/// Stores by their names, and where the file sets what of them.
pub(super) type Stores = BTreeMap<String, (StoreConfiguration, Lines)>;

/// What a file says.
#[derive(Default)]
pub(super) struct Parsed {
    pub(super) cache: Option<Cache>,
    pub(super) default_store: Option<String>,
    pub(super) stores: Stores,
    pub(super) serve: Serve,
}

/// Takes the text of a file apart that lies in `dir`.
pub(super) fn parse(text: &str, dir: &Path) -> Result<Parsed, Vec<Problem>> {
    let (mut problems, document) = Problems::document(text);
    let parsed = document.map(|mut document| {
        let cache = cache(&mut document, dir, &mut problems);
        let chosen = document.take("default-store");
        let serve = document.take("serve");
        let mut stores = stores(document, dir, &mut problems);
        for (store, _) in stores.values_mut() {
            store.cache.clone_from(&cache);
        }
        let serve = serve::read(serve, dir, &stores, &mut problems);
        let default_store = chosen.and_then(|value| default_store(value, &stores, &mut problems));
        Parsed { cache, default_store, stores, serve }
    });
    let found = problems.found();
    if found.is_empty() { Ok(parsed.unwrap_or_default()) } else { Err(found) }
}

/// Where compiled code is kept.
fn cache(document: &mut Table<'_>, dir: &Path, problems: &mut Problems<'_>) -> Option<Cache> {
    let value = document.take("cache")?;
    match value.name(problems)?.as_str() {
        "off" => Some(Cache::Off),
        folder => Some(Cache::Dir(dir.join(folder))),
    }
}

/// The store that is meant where none is named.
fn default_store(value: Value<'_>, stores: &Stores, problems: &mut Problems<'_>) -> Option<String> {
    let at = value.at;
    let name = value.name(problems)?;
    if !stores.contains_key(&name) {
        let text =
            format!("`default-store` names no store of this file: `{}`", foreign_name(&name));
        problems.add(at, text);
    }
    Some(name)
}

fn stores(mut document: Table<'_>, dir: &Path, problems: &mut Problems<'_>) -> Stores {
    let mut stores = BTreeMap::new();
    let mut directories = Vec::new();
    let named = document.take("stores").and_then(|stores| stores.table(problems));
    // A wrong backend counts as named, too.
    let mut is_named = false;
    for (name, store) in named.into_iter().flat_map(Table::all) {
        is_named = true;
        if name.is_empty() || name.chars().any(char::is_control) {
            problems.add(store.at, "a store needs a name without control characters".into());
        } else if let Some(table) = store.table(problems)
            && let Some(store) = self::store(&name, table, dir, &mut directories, problems)
        {
            stores.insert(name, store);
        }
    }
    apart::check(&directories, problems);
    if !is_named {
        problems.add(document.at, "there is no store; one begins with `[stores.NAME]`".into());
    }
    document.finish(problems);
    stores
}

fn store(
    name: &str,
    mut table: Table<'_>,
    dir: &Path,
    named: &mut Vec<Named>,
    problems: &mut Problems<'_>,
) -> Option<(StoreConfiguration, Lines)> {
    let start = problems.line(table.at);
    let mut component = component(&mut table, dir, problems);
    let digest = table.take("digest").and_then(|value| digest(value, problems));
    let grants = directories(name, &mut table, dir, named, problems);
    let (grants, secrets, variables) =
        secrets::variables(&mut table, grants, component.as_ref(), problems);
    let grants = network::grants(&mut table, dir, grants, problems);
    network::sign(&mut table, component.as_mut(), problems);
    for key in LIMITS {
        if let Some(value) = table.take_misplaced(key) {
            let limits = table.path("limits");
            problems.add(value.at, format!("`{}` has its place in `{limits}`", value.path));
        }
    }
    let limits = table.take("limits").and_then(|value| value.table(problems));
    let limits = limits.map_or_else(Limits::default, |table| self::limits(table, problems));
    let sweep = table.take("sweep-older-than").and_then(|value| value.age(problems));
    let layers = layers::read((name, &mut table), dir, named, problems);
    let component = component?;
    if component == Component::Fs && !grants.directories.iter().any(|dir| dir.guest == "/") {
        let text = format!(
            "the backend `fs` of store `{}` needs a directory whose `guest` is \"/\": \
             `[[{}]]` with its `host`",
            foreign_name(name),
            table.path("directories")
        );
        problems.add(table.at, text);
    }
    table.finish(problems);
    let name = name.to_owned();
    let (surroundings, cache) = (None, None);
    let store = StoreConfiguration {
        name,
        component,
        digest,
        grants,
        secrets,
        limits,
        sweep,
        layers,
        surroundings,
        cache,
    };
    Some((store, Lines { start, variables }))
}

fn component(table: &mut Table<'_>, dir: &Path, problems: &mut Problems<'_>) -> Option<Component> {
    let Some(value) = table.take("backend") else {
        let text = "is missing: \"fs\", \"s3\" or the path of a component";
        problems.add(table.at, format!("`{}` {text}", table.path("backend")));
        return None;
    };
    match value.name(problems)?.as_str() {
        "fs" => Some(Component::Fs),
        #[cfg(feature = "network")]
        "s3" => Some(Component::S3(crate::backend::Signed::Variables(crate::Sign::Host))),
        file => Some(Component::File(dir.join(file))),
    }
}

pub(super) fn digest(value: Value<'_>, problems: &mut Problems<'_>) -> Option<String> {
    let (path, at) = (value.path.clone(), value.at);
    let digest = value.text(problems)?;
    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let text = "must be a SHA-256 in 64 hexadecimal digits";
        problems.add(at, format!("`{path}` {text}"));
    }
    Some(digest)
}

pub(super) fn directories(
    store: &str,
    table: &mut Table<'_>,
    dir: &Path,
    named: &mut Vec<Named>,
    problems: &mut Problems<'_>,
) -> Grants {
    let mut grants = Grants::none();
    let tables = table.take("directories").map(|value| value.tables(problems));
    for mut table in tables.into_iter().flatten() {
        let (path, at) = (table.path("guest"), table.at);
        let host = match table.take("host") {
            Some(value) => value.name(problems),
            None => {
                problems.add(at, format!("`{}` is missing: a directory", table.path("host")));
                None
            }
        };
        let guest = table.take("guest").and_then(|value| value.text(problems));
        let guest = guest.unwrap_or_else(|| "/".into());
        let read_only = table.take("read-only").and_then(|value| value.flag(problems));
        table.finish(problems);
        if !guest.starts_with('/') {
            problems.add(at, format!("`{path}` must be absolute, such as \"/config\""));
        } else if grants.directories.iter().any(|dir| dir.guest == guest) {
            problems.add(at, format!("`{path}` is the same as that of another directory"));
        }
        let is_named = host.is_some();
        let host = dir.join(host.map(PathBuf::from).unwrap_or_default());
        grants = match read_only {
            Some(true) => grants.read_only(host, guest),
            _ => grants.read_write(host, guest),
        };
        if let Some(directory) = grants.directories.last().filter(|_| is_named) {
            named.push(Named { store: store.to_owned(), directory: directory.clone(), at });
        }
    }
    grants
}

pub(super) fn limits(mut table: Table<'_>, problems: &mut Problems<'_>) -> Limits {
    let mut limits = Limits::default();
    if let Some(timeout) = table.take("call-timeout").and_then(|v| v.duration(problems)) {
        limits.call_timeout = timeout;
    }
    if let Some(rate) = table.take("least-rate").and_then(|v| v.rate(problems)) {
        limits.least_rate = rate;
    }
    if let Some(timeout) = table.take("turn-timeout").and_then(|v| v.duration(problems)) {
        limits.turn_timeout = timeout;
    }
    if let Some(timeout) = table.take("pause-timeout").and_then(|v| v.duration(problems)) {
        limits.pause_timeout = timeout;
    }
    if let Some(memory) = table.take("memory").and_then(|v| v.size(problems)) {
        limits.memory = memory;
    }
    if let Some(buffer) = table.take("buffer").and_then(|v| v.size(problems)) {
        limits.buffer = buffer;
    }
    if let Some(handles) = table.take("handles").and_then(|v| v.count(problems)) {
        limits.handles = handles;
    }
    if let Some(concurrency) = table.take("concurrency").and_then(|v| v.count(problems)) {
        limits.concurrency = concurrency;
    }
    if let Some(transfers) = table.take("transfers").and_then(|v| v.count(problems)) {
        limits.transfers = transfers;
    }
    if let Some(load) = table.take("load").and_then(|value| value.table(problems)) {
        limits.load = self::load(load, problems);
    }
    table.finish(problems);
    limits
}

/// What loading the component may use.
fn load(mut table: Table<'_>, problems: &mut Problems<'_>) -> LoadLimits {
    let mut limits = LoadLimits::default();
    if let Some(time) = table.take("time").and_then(|v| v.duration(problems)) {
        limits.time = time;
    }
    if let Some(memory) = table.take("memory").and_then(|v| v.size(problems)) {
        limits.memory = memory;
    }
    for (name, is_size, limit) in limits.counts() {
        let value = table.take(name);
        let value = value.and_then(|v| if is_size { v.size(problems) } else { v.count(problems) });
        if let Some(value) = value {
            *limit = value;
        }
    }
    table.finish(problems);
    limits
}
