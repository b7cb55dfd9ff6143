//! The mounts of Linux. A directory that is mounted in a second place has two chains of parents;
//! its identity shows in terms of its filesystem.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::linux::follow;
use super::place::At;

/// A directory or file of a mounted filesystem, and everything below it.
#[derive(Clone, Debug)]
pub(super) struct Region {
    device: Device,
    path: PathBuf,
    /// Whether writing to what shows the region writes to the region: the lower layers of an
    /// overlay are not written.
    is_written: bool,
}

/// The number of a filesystem, which all its mounts share.
pub(super) type Device = Vec<u8>;

/// How deep overlays may lie over each other: the system stacks no more than two.
const STACKED: usize = 2;

impl Region {
    pub(super) fn is_of(&self, device: &Device) -> bool {
        self.device == *device
    }

    pub(super) fn is_written(&self) -> bool {
        self.is_written
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.device == other.device && self.path == other.path
    }

    pub(super) fn holds(&self, other: &Self) -> bool {
        self.device == other.device && other.path.starts_with(&self.path)
    }
}

/// The mounts, read when first needed.
#[derive(Default)]
pub(super) struct Mounts(OnceCell<BTreeMap<u64, Mount>>);

struct Mount {
    id: u64,
    /// The mount that contains its mount point.
    parent: u64,
    device: Device,
    /// The directory of the filesystem that is mounted.
    root: PathBuf,
    /// Its mount point.
    point: PathBuf,
    /// Whether it shows the processes of the system, and with them their memory.
    is_proc: bool,
    /// The directories below an overlay.
    layers: Vec<Layer>,
    /// Whether some of them are named in a way that cannot be resolved.
    has_unknown_layers: bool,
}

/// A directory below an overlay.
struct Layer {
    path: PathBuf,
    is_upper: bool,
    /// The mount that it lies in, and its path there, looked up when first needed; `None` if the
    /// path now leads nowhere.
    under: OnceCell<Option<(u64, PathBuf)>>,
}

impl Mounts {
    /// The regions of a place: its own, and those that an overlay shows there.
    pub(super) fn of(&self, at: &At) -> Vec<Region> {
        let Some(mount) = self.mount(at.mount) else { return Vec::new() };
        let Ok(rest) = at.path.strip_prefix(&mount.point) else { return Vec::new() };
        self.regions(mount, rest)
    }

    /// The regions that are mounted below a place.
    pub(super) fn below(&self, at: &At) -> Vec<Region> {
        self.mounts_below(at).flat_map(|mount| self.regions(mount, Path::new(""))).collect()
    }

    /// The filesystems, at a place and below it, that show directories of others, without it being
    /// known which.
    pub(super) fn unknown(&self, at: &At) -> Vec<Device> {
        let is_unknown = |mount: &&Mount| {
            let is_lost = |layer: &Layer| self.under(mount, layer).is_none();
            let is_unknown = mount.has_unknown_layers || mount.layers.iter().any(is_lost);
            // The layers of a container's root are in the namespace that mounted it.
            is_unknown && !self.is_root(&mount.device)
        };
        self.of_and_below(at).filter(is_unknown).map(|mount| mount.device.clone()).collect()
    }

    /// Where the place, or a mount below it, shows the processes of the system.
    pub(super) fn processes(&self, at: &At) -> Option<PathBuf> {
        self.of_and_below(at).find(|mount| mount.is_proc).map(|mount| mount.point.clone())
    }

    /// Whether the system reports which region the place is. It does not for other namespaces, nor
    /// for a root that is not a mount.
    pub(super) fn is_told(&self, at: &At) -> bool {
        self.mount(at.mount).is_some()
    }

    fn of_and_below(&self, at: &At) -> impl Iterator<Item = &Mount> {
        self.mount(at.mount).into_iter().chain(self.mounts_below(at))
    }

    fn is_root(&self, device: &Device) -> bool {
        self.all().values().any(|mount| mount.point == Path::new("/") && mount.device == *device)
    }

    fn mounts_below(&self, at: &At) -> impl Iterator<Item = &Mount> {
        self.all().values().filter(|mount| self.is_below(mount, at))
    }

    /// Whether a mount is visible below `at`, itself or through a mount that contains it.
    fn is_below(&self, mount: &Mount, at: &At) -> bool {
        let mut mount = mount;
        // The system's list has no circles; if it had one, this loop would still end.
        for _ in 0..self.all().len() {
            if mount.id == at.mount {
                return false;
            }
            if mount.parent == at.mount {
                return mount.point != at.path && mount.point.starts_with(&at.path);
            }
            match self.mount(mount.parent) {
                Some(parent) => mount = parent,
                None => return false,
            }
        }
        false
    }

    fn regions(&self, mount: &Mount, rest: &Path) -> Vec<Region> {
        let mut regions = Vec::new();
        self.add_regions(&mut regions, mount, rest, (0, true));
        regions
    }

    fn add_regions(
        &self,
        regions: &mut Vec<Region>,
        mount: &Mount,
        rest: &Path,
        (depth, is_written): (usize, bool),
    ) {
        let path = mount.root.components().chain(rest.components()).collect();
        regions.push(Region { device: mount.device.clone(), path, is_written });
        if depth > STACKED {
            return;
        }
        for layer in &mount.layers {
            let Some((under, path)) = self.under(mount, layer) else { continue };
            let rest = path.join(mount.root_within()).join(rest);
            self.add_regions(regions, under, &rest, (depth + 1, is_written && layer.is_upper));
        }
    }

    /// The mount that a layer of this one lies in, and the layer's path there.
    fn under<'a>(&'a self, mount: &Mount, layer: &'a Layer) -> Option<(&'a Mount, &'a Path)> {
        let find = || {
            // If the overlay covers its own layer, the layer lies in what was mounted there before.
            let (id, path) = match layer.path.starts_with(&mount.point) {
                true => (mount.parent, layer.path.clone()),
                false => {
                    let at = follow(&layer.path).ok().filter(|way| way.exists)?.place.at?;
                    (at.mount, at.path)
                }
            };
            Some((id, path.strip_prefix(&self.mount(id)?.point).ok()?.to_owned()))
        };
        let (id, path) = layer.under.get_or_init(find).as_ref()?;
        Some((self.mount(*id)?, path))
    }

    fn mount(&self, id: u64) -> Option<&Mount> {
        self.all().get(&id)
    }

    fn all(&self) -> &BTreeMap<u64, Mount> {
        self.0.get_or_init(|| {
            let text = std::fs::read("/proc/thread-self/mountinfo").unwrap_or_default();
            let mounts = text.split(|byte| *byte == b'\n').filter_map(Mount::parse);
            mounts.map(|mount| (mount.id, mount)).collect()
        })
    }
}

impl Mount {
    /// Parses one line, as `proc_pid_mountinfo(5)` describes it.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ');
        let id = number(words.next()?)?;
        let parent = number(words.next()?)?;
        let device = words.next()?.to_vec();
        let (root, point) = (path(unescaped(words.next()?)), path(unescaped(words.next()?)));
        // The options of the mount and optional fields, up to a dash.
        let mut words = words.skip_while(|word| *word != b"-").skip(1);
        let kind = words.next()?;
        let options = words.nth(1).unwrap_or_default();
        let is_proc = kind == b"proc";
        let mut layers = if kind == b"overlay" { layers(options) } else { Vec::new() };
        let all = layers.len();
        // It is not known where a relative path began.
        layers.retain(|layer| layer.path.is_absolute());
        // A directory may show the files of another one.
        let redirects = options.split(|byte| *byte == b',').any(|it| it == b"redirect_dir=on");
        let has_unknown_layers = layers.len() < all || redirects;
        Some(Self { id, parent, device, root, point, is_proc, layers, has_unknown_layers })
    }

    /// The mounted directory of the filesystem, without the leading `/`.
    fn root_within(&self) -> PathBuf {
        self.root.components().skip(1).collect()
    }
}

fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// The layers of an overlay, from the options of its mount. A writer may reach the upper layer,
/// where the overlay writes.
fn layers(options: &[u8]) -> Vec<Layer> {
    let mut layers = Vec::new();
    for option in options.split(|byte| *byte == b',') {
        let mut sides = option.splitn(2, |byte| *byte == b'=');
        let (Some(name), Some(value)) = (sides.next(), sides.next()) else { continue };
        let value = unescaped(value);
        let (paths, is_upper) = match name {
            b"lowerdir" => (separated(&value), false),
            b"lowerdir+" | b"datadir+" => (vec![value], false),
            b"upperdir" | b"workdir" => (vec![value], true),
            _ => continue,
        };
        // Two colons precede a data layer.
        let paths = paths.into_iter().filter(|path| !path.is_empty()).map(path);
        layers.extend(paths.map(|path| Layer { path, is_upper, under: OnceCell::new() }));
    }
    layers
}

/// The parts between colons; a backslash escapes the next byte.
fn separated(value: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        match (byte, parts.last_mut()) {
            (b':', _) => parts.push(Vec::new()),
            (b'\\', Some(part)) => part.extend(bytes.next()),
            (byte, Some(part)) => part.push(*byte),
            (_, None) => {}
        }
    }
    parts
}

/// Decodes bytes that are written as a backslash and three octal digits.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut left = word;
    while let Some((byte, rest)) = left.split_first() {
        let digits = rest.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match escaped.filter(|_| *byte == b'\\') {
            Some(escaped) => {
                bytes.push(escaped);
                left = &rest[3..];
            }
            None => {
                bytes.push(*byte);
                left = rest;
            }
        }
    }
    bytes
}

fn path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_system_is_read_with_its_escapes() {
        let line = br"36 35 98:0 /mnt\0401 /a\134b rw,noatime master:1 - ext3 /dev/root rw";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((mount.id, mount.parent, &*mount.device), (36, 35, &b"98:0"[..]));
        assert_eq!((mount.root, mount.point), ("/mnt 1".into(), r"/a\b".into()));
        assert!(Mount::parse(b"36 35 98:0").is_none());
        assert!(Mount::parse(b"").is_none());
    }

    #[test]
    fn the_layers_of_an_overlay_are_its_directories() {
        let options = br"rw,lowerdir=/a\134:b:/c::/data,upperdir=/d\054e:f,workdir=/w,xino=on";
        let found: Vec<_> = layers(options).into_iter().map(|it| (it.path, it.is_upper)).collect();
        let expected =
            [("/a:b", false), ("/c", false), ("/data", false), ("/d,e:f", true), ("/w", true)];
        assert_eq!(found, expected.map(|(path, is_upper)| (PathBuf::from(path), is_upper)));
        let line = b"36 35 0:9 / /view rw - overlay none rw,lowerdir=/a,upperdir=b";
        let mount = Mount::parse(line).unwrap();
        assert!(mount.has_unknown_layers && mount.layers.len() == 1);
    }
}
