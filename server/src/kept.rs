//! What an object keeps of how it was sent: the sizes of the parts, if it was uploaded so, and the
//! checksums that its client chose. They are attributes of the artifact, so that they come and go with its
//! bytes:
//!
//! - `s3-parts`: the sizes in bytes, in their order: `8388608*3 12`.
//! - `s3-checksum`: the name of an algorithm and the value of the whole: `sha256 BASE64-4`. With a dash
//!   and the number of parts it is composite, the checksum of the checksums of the parts.
//! - `s3-part-checksums`: the name of an algorithm and the values of the parts, one behind the other.
//!
//! What has no room is not kept. An object without sizes has one part, and one without a checksum of its
//! own its CRC-64/NVME.

use std::fmt::Write;
use std::ops::Range;

use artifact_store::{ArtifactStore, Attributes, Info};
use s3s::dto::{Checksum, ChecksumType};

use crate::attributes;
use crate::verify::{Algorithm, encoded, only};

const PARTS: &str = "s3-parts";
const CHECKSUM: &str = "s3-checksum";
const PART_CHECKSUMS: &str = "s3-part-checksums";

/// The most bytes of attributes with these. 2048 are what an artifact has room for, and a bucket of
/// Amazon, in which the backend `s3` needs some for itself.
const ROOM: usize = 1536;

/// The most parts of an upload, as on AWS.
pub(crate) const MOST_PARTS: usize = 10_000;

/// A checksum as headers have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) algorithm: Algorithm,
    pub(crate) text: String,
}

impl Value {
    /// The checksum of the checksums of all parts.
    pub(crate) fn composite(algorithm: Algorithm, parts: &[String]) -> Option<Self> {
        let bytes: Vec<_> =
            parts.iter().map(|text| algorithm.decode(text)).collect::<Option<_>>()?;
        let text = format!("{}-{}", algorithm.of(&bytes.concat())?, parts.len());
        Some(Self { algorithm, text })
    }

    /// The checksum of all bytes, which follows from those of the parts; `None` if it does not, or if it
    /// is known anyway.
    pub(crate) fn combined(algorithm: Algorithm, parts: &[String], sizes: &[u64]) -> Option<Self> {
        let (first, rest) = parts.split_first().filter(|_| algorithm != Algorithm::Crc64Nvme)?;
        let mut pairs = rest.iter().zip(sizes.get(1..)?);
        let text = pairs
            .try_fold(first.clone(), |sum, (next, size)| algorithm.combined(&sum, next, *size))?;
        Some(Self { algorithm, text })
    }
}

/// What is kept of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The sizes of the parts; none if the object was not uploaded in parts.
    sizes: Vec<u64>,
    /// Of the whole, if it is another one than the CRC-64/NVME.
    checksum: Option<Value>,
    /// Of the parts: as many as there are sizes, or none.
    checksums: Option<(Algorithm, Vec<String>)>,
}

impl Kept {
    pub(crate) fn new(
        sizes: Vec<u64>,
        checksum: Option<Value>,
        checksums: Option<(Algorithm, Vec<String>)>,
    ) -> Self {
        Self { sizes, checksum, checksums }
    }

    /// That of an object that came as a whole, with this checksum.
    pub(crate) fn single(algorithm: Algorithm, text: &str) -> Self {
        let checksum = Some(Value { algorithm, text: text.to_owned() });
        Self { checksum, ..Self::default() }
    }

    /// What of this a store may keep beside the bytes: of those that it encrypts, it must not tell
    /// the checksums, which would show whether they are bytes that somebody knows.
    pub(crate) fn beside(self, store: &ArtifactStore) -> Self {
        match store.backend().is_encrypted() {
            true => Self { sizes: self.sizes, ..Self::default() },
            false => self,
        }
    }

    /// What is known of this object.
    pub(crate) fn of(info: &Info) -> Self {
        Self::read(&info.attributes, info.size)
    }

    /// A store may hold anything: what does not fit together is not believed.
    fn read(attributes: &Attributes, size: u64) -> Self {
        let sizes = match attributes.get(PARTS).map(|text| sizes(text, size)) {
            Some(Some(sizes)) => sizes,
            Some(None) => return Self::default(),
            None => Vec::new(),
        };
        let pair = |name| {
            let (algorithm, text) = attributes.get(name)?.split_once(' ')?;
            Some((Algorithm::named(algorithm)?, text))
        };
        let checksum = pair(CHECKSUM).and_then(|(algorithm, text)| {
            let (value, count) = text.split_once('-').unzip();
            algorithm.decode(value.unwrap_or(text))?;
            // Without parts it is composed of nothing.
            let fits = count.is_none_or(|it| !sizes.is_empty() && it.parse() == Ok(sizes.len()));
            fits.then(|| Value { algorithm, text: text.to_owned() })
        });
        let checksums = pair(PART_CHECKSUMS).and_then(|(algorithm, text)| {
            let values = text.as_bytes().chunks(algorithm.encoded_len());
            let values = values.map(|value| {
                let text = str::from_utf8(value).ok()?;
                algorithm.decode(text).map(|_| text.to_owned())
            });
            let values: Vec<_> = values.collect::<Option<_>>()?;
            (!values.is_empty() && values.len() == sizes.len()).then_some((algorithm, values))
        });
        Self { sizes, checksum, checksums }
    }

    /// The attributes with those that keep this, as far as there is room.
    pub(crate) fn add_to(&self, mut attributes: Attributes) -> Attributes {
        let pair = |algorithm: Algorithm, text: &str| format!("{} {text}", algorithm.name());
        let checksum = self.checksum.as_ref().map(|it| pair(it.algorithm, &it.text));
        let checksums =
            self.checksums.as_ref().map(|(algorithm, all)| pair(*algorithm, &all.concat()));
        let parts = (!self.sizes.is_empty()).then(|| packed(&self.sizes));
        let all = [(PARTS, parts), (CHECKSUM, checksum), (PART_CHECKSUMS, checksums)];
        for (name, value) in all {
            let Some(value) = value else { continue };
            if attributes::size(&attributes) + name.len() + value.len() > ROOM {
                break;
            }
            attributes = attributes.with(name, value);
        }
        attributes
    }

    /// How many parts it was uploaded in; `None` if it was not.
    pub(crate) fn count(&self) -> Option<i32> {
        i32::try_from(self.sizes.len()).ok().filter(|count| *count > 0)
    }

    /// The bytes of a part; `None` if there is no such part. An object that was not uploaded in parts
    /// has one.
    pub(crate) fn range(&self, number: i32, size: u64) -> Option<Range<u64>> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        if self.sizes.is_empty() {
            return (index == 0).then_some(0..size);
        }
        let length = self.sizes.get(index)?;
        let start = self.sizes.get(..index)?.iter().sum();
        Some(start..start + length)
    }

    /// The checksum of the whole, which has this CRC-64/NVME.
    pub(crate) fn whole(&self, crc64: Option<u64>) -> Checksum {
        let crc64 = || Some(Value { algorithm: Algorithm::Crc64Nvme, text: encoded(crc64?) });
        let Some(value) = self.checksum.clone().or_else(crc64) else { return Checksum::default() };
        let checksum_type = Some(type_of(value.text.contains('-')));
        Checksum { checksum_type, ..only(value.algorithm, value.text) }
    }

    /// The checksum of a part, and the type of that of the whole.
    pub(crate) fn part(&self, number: i32, crc64: Option<u64>) -> Checksum {
        let whole = self.whole(crc64);
        if self.sizes.is_empty() {
            return whole;
        }
        let value = || {
            let (algorithm, all) = self.checksums.as_ref()?;
            Some(only(*algorithm, all.get(usize::try_from(number).ok()?.checked_sub(1)?)?.clone()))
        };
        value().map_or_else(Checksum::default, |value| Checksum {
            checksum_type: whole.checksum_type,
            ..value
        })
    }
}

pub(crate) fn type_of(is_composite: bool) -> ChecksumType {
    ChecksumType::from_static(match is_composite {
        true => ChecksumType::COMPOSITE,
        false => ChecksumType::FULL_OBJECT,
    })
}

fn packed(sizes: &[u64]) -> String {
    let mut text = String::new();
    for same in sizes.chunk_by(|one, next| one == next) {
        let between = if text.is_empty() { "" } else { " " };
        // To write to a string cannot fail.
        let _ = match same.len() {
            1 => write!(text, "{between}{}", same[0]),
            count => write!(text, "{between}{}*{count}", same[0]),
        };
    }
    text
}

/// The sizes of the parts of an object of this size.
fn sizes(text: &str, size: u64) -> Option<Vec<u64>> {
    let mut sizes = Vec::new();
    for same in text.split(' ') {
        let (size, count) = same.split_once('*').unwrap_or((same, "1"));
        let count = count.parse().ok().filter(|count| *count <= MOST_PARTS - sizes.len())?;
        sizes.extend(std::iter::repeat_n(size.parse::<u64>().ok()?, count));
    }
    let sum = sizes.iter().try_fold(0u64, |sum, size| sum.checked_add(*size));
    (sum == Some(size)).then_some(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let parts: Vec<_> =
            ["a", "b", "c"].map(|bytes| Algorithm::Sha256.of(bytes.as_bytes()).unwrap()).to_vec();
        let checksum = Value::composite(Algorithm::Sha256, &parts);
        let kept = Kept::new(vec![5, 5, 2], checksum, Some((Algorithm::Sha256, parts)));
        let attributes = kept.add_to(Attributes::new());
        assert_eq!(attributes.get(PARTS), Some("5*2 2"));
        assert_eq!(Kept::read(&attributes, 12), kept);
        assert_eq!(kept.count(), Some(3));
        assert_eq!((kept.range(2, 12), kept.range(3, 12)), (Some(5..10), Some(10..12)));
        assert_eq!((kept.range(0, 12), kept.range(4, 12), kept.range(-1, 12)), (None, None, None));
        assert!(kept.whole(Some(1)).checksum_sha256.is_some_and(|text| text.ends_with("-3")));
    }

    #[test]
    fn what_came_as_a_whole_has_a_checksum_and_no_parts() {
        let value = Algorithm::Sha256.of(b"bytes").unwrap();
        let kept = Kept::single(Algorithm::Sha256, &value);
        let attributes = kept.add_to(Attributes::new());
        assert_eq!(attributes.get(CHECKSUM), Some(&*format!("sha256 {value}")));
        assert_eq!(Kept::read(&attributes, 5), kept);
        assert_eq!((kept.count(), kept.range(1, 5)), (None, Some(0..5)));
        assert_eq!(kept.part(1, Some(1)).checksum_sha256, Some(value.clone()));
        for count in [0, 1] {
            let composite = Attributes::new().with(CHECKSUM, format!("sha256 {value}-{count}"));
            assert_eq!(Kept::read(&composite, 5), Kept::default());
        }
        let lone = Attributes::new().with(PART_CHECKSUMS, "sha256 ");
        assert_eq!(Kept::read(&lone, 5), Kept::default());
    }

    #[test]
    fn the_sum_of_the_whole_follows_from_those_of_the_parts() {
        let parts = ["some", " ", "bytes", ""];
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c] {
            let sums = parts.map(|part| algorithm.of(part.as_bytes()).unwrap());
            let sizes = parts.map(|part| part.len() as u64);
            let whole = Value::combined(algorithm, &sums, &sizes).unwrap();
            assert_eq!(Some(whole.text), algorithm.of(b"some bytes"));
        }
    }

    #[test]
    fn what_has_no_room_is_not_kept() {
        let sizes: Vec<_> = (0..100).collect();
        let checksums = Some((Algorithm::Sha256, vec!["x".repeat(44); 100]));
        let kept = Kept::new(sizes, None, checksums).add_to(Attributes::new());
        assert!(kept.get(PARTS).is_some() && kept.get(PART_CHECKSUMS).is_none());
        let full = Attributes::new().with("a", "x".repeat(ROOM - 1));
        assert_eq!(Kept::new(vec![1], None, None).add_to(full.clone()), full);
    }

    #[test]
    fn what_does_not_fit_together_is_not_believed() {
        for parts in [
            "",
            "5",
            "6*3",
            "5*2 2 ",
            "5*99999999",
            "18446744073709551615*2",
            "12 0*18446744073709551615",
            "-1 13",
            "x",
        ] {
            let kept = Kept::read(&Attributes::new().with(PARTS, parts), 12);
            assert_eq!((kept.count(), kept.range(1, 12)), (None, Some(0..12)), "{parts:?}");
        }
        let value = Algorithm::Crc32.of(b"a").unwrap();
        for checksum in ["", "crc32", "md5 AAAA", "crc32 x", &*format!("crc32 {value}-3")] {
            let attributes = Attributes::new().with(PARTS, "6*2").with(CHECKSUM, checksum);
            assert_eq!(Kept::read(&attributes, 12).checksum, None, "{checksum:?}");
        }
        for checksums in ["crc32 ", &*format!("crc32 {value}"), &*format!("crc32 {value}x")] {
            let attributes = Attributes::new().with(PARTS, "6*2").with(PART_CHECKSUMS, checksums);
            assert_eq!(Kept::read(&attributes, 12).checksums, None, "{checksums:?}");
        }
    }
}
