//! The checksums that a client sends with a body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, checksum_combine};
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto;
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

/// The algorithms, the weakest first, with the ends of their headers and the lengths of their values in
/// bytes.
const ALGORITHMS: [(Algorithm, &str, usize); 5] = [
    (Algorithm::Crc32, "crc32", 4),
    (Algorithm::Crc32c, "crc32c", 4),
    (Algorithm::Crc64Nvme, "crc64nvme", 8),
    (Algorithm::Sha1, "sha1", 20),
    (Algorithm::Sha256, "sha256", 32),
];

const PREFIX: &str = "x-amz-checksum-";

/// It is stored by its name in headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        ALGORITHMS.iter().map(|(algorithm, ..)| *algorithm)
    }

    /// The one of this name, in letters of either case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let known = ALGORITHMS.iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(algorithm, ..)| *algorithm)
    }

    /// Its name in headers.
    pub(crate) fn name(self) -> &'static str {
        ALGORITHMS[self as usize].1
    }

    /// The bytes of a value in the encoding of headers.
    pub(crate) fn decode(self, value: &str) -> Option<Vec<u8>> {
        let bytes = STANDARD.decode(value).ok()?;
        (bytes.len() == ALGORITHMS[self as usize].2).then_some(bytes)
    }

    /// How many characters a value has in headers.
    pub(crate) fn encoded_len(self) -> usize {
        ALGORITHMS[self as usize].2.div_ceil(3) * 4
    }

    /// The checksum of two texts, one behind the other, from theirs and the length of the second;
    /// `None` if it does not follow from them.
    pub(crate) fn combined(self, first: &str, second: &str, length: u64) -> Option<String> {
        let (algorithm, width) = match self {
            Self::Crc32 => (CrcAlgorithm::Crc32IsoHdlc, 4),
            Self::Crc32c => (CrcAlgorithm::Crc32Iscsi, 4),
            Self::Crc64Nvme => (CrcAlgorithm::Crc64Nvme, 8),
            Self::Sha1 | Self::Sha256 => return None,
        };
        let number = |text| {
            self.decode(text)
                .map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
        };
        let sum = checksum_combine(algorithm, number(first)?, number(second)?, length);
        Some(STANDARD.encode(&sum.to_be_bytes()[8 - width..]))
    }

    /// Of some bytes.
    pub(crate) fn of(self, bytes: &[u8]) -> Option<String> {
        let mut verify = Verify::of_part();
        verify.hash(self);
        verify.update(bytes);
        of(&verify.hasher.finalize(), self).map(str::to_owned)
    }
}

/// Compares the bytes of one body with all checksums that its client sent.
#[derive(Default)]
pub(crate) struct Verify {
    md5: Option<(Md5, Vec<u8>)>,
    hasher: ChecksumHasher,
    /// What is known before the body.
    given: Vec<(Algorithm, String)>,
    /// What follows it.
    trailing: Vec<Algorithm>,
    /// Whether nobody else computes the CRC-64/NVME.
    is_alone: bool,
}

impl Verify {
    /// Of bytes that are stored already, and are read only.
    pub(crate) fn of_part() -> Self {
        Self { is_alone: true, ..Self::default() }
    }

    /// What the headers of a request announce.
    pub(crate) fn of_headers(headers: &HeaderMap) -> S3Result<Self> {
        let mut verify = Self::default();
        for (name, value) in headers {
            let text =
                || value.to_str().map_err(|_| s3_error!(InvalidRequest, "`{name}`: no text"));
            match name.as_str() {
                "content-md5" => {
                    let digest = STANDARD.decode(text()?).ok().filter(|it| it.len() == 16);
                    let digest = digest
                        .ok_or_else(|| s3_error!(InvalidDigest, "`content-md5` is no MD5"))?;
                    if verify.md5.as_ref().is_some_and(|(_, other)| *other != digest) {
                        return Err(s3_error!(InvalidDigest, "`content-md5` has two values"));
                    }
                    verify.md5 = Some((Md5::new(), digest));
                }
                "x-amz-trailer" => {
                    for trailer in text()?.split(',').map(str::trim) {
                        if let Some(algorithm) = algorithm(trailer)? {
                            verify.hash(algorithm);
                            verify.trailing.push(algorithm);
                        }
                    }
                }
                name => {
                    if let Some(algorithm) = algorithm(name)? {
                        verify.expect(algorithm, text()?)?;
                    }
                }
            }
        }
        Ok(verify)
    }

    /// One more checksum that the bytes are to have.
    pub(crate) fn expect(&mut self, algorithm: Algorithm, value: &str) -> S3Result<()> {
        let name = algorithm.name();
        // A composite one, of digests of parts.
        if value.contains('-') {
            return Err(s3_error!(
                InvalidRequest,
                "`{PREFIX}{name}` is that of an upload in parts"
            ));
        }
        if algorithm.decode(value).is_none() {
            return Err(s3_error!(InvalidRequest, "the value of `{PREFIX}{name}` is invalid"));
        }
        if self.given.iter().any(|(it, other)| *it == algorithm && other != value) {
            return Err(s3_error!(BadDigest, "the body is to have two values of {name}"));
        }
        self.hash(algorithm);
        self.given.push((algorithm, value.to_owned()));
        Ok(())
    }

    /// Computes this one, too, whether the client sent it or not.
    pub(crate) fn hash(&mut self, algorithm: Algorithm) {
        let hasher = &mut self.hasher;
        match algorithm {
            Algorithm::Crc32 => hasher.crc32 = Some(Crc32::new()),
            Algorithm::Crc32c => hasher.crc32c = Some(Crc32c::new()),
            Algorithm::Crc64Nvme if self.is_alone => hasher.crc64nvme = Some(Crc64Nvme::new()),
            Algorithm::Crc64Nvme => {}
            Algorithm::Sha1 => hasher.sha1 = Some(Sha1::new()),
            Algorithm::Sha256 => hasher.sha256 = Some(Sha256::new()),
        }
    }

    /// The checksum that is known before the body; of several the strongest. `None` if that is the
    /// CRC-64/NVME, which is kept with the bytes anyway.
    pub(crate) fn stated(&self) -> Option<(Algorithm, &str)> {
        let strongest = self.given.iter().max_by_key(|(algorithm, _)| *algorithm as usize);
        let (algorithm, value) = strongest.filter(|(it, _)| *it != Algorithm::Crc64Nvme)?;
        Some((*algorithm, value))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if let Some((md5, _)) = &mut self.md5 {
            md5.update(bytes);
        }
        self.hasher.update(bytes);
    }

    /// Compares all of them at the end of the body. Whoever has stored it has its CRC-64/NVME. The
    /// checksums of the body as far as they are known.
    pub(crate) fn finish(
        self,
        crc64: Option<u64>,
        trailers: Option<&HeaderMap>,
    ) -> S3Result<dto::Checksum> {
        if let Some((md5, expected)) = self.md5
            && md5.finalize().as_slice() != expected
        {
            return Err(s3_error!(BadDigest, "the body has not the MD5 of `content-md5`"));
        }
        let mut found = self.hasher.finalize();
        if let Some(crc64) = crc64 {
            found.checksum_crc64nvme = Some(encoded(crc64));
        }
        let mut expected = self.given;
        for algorithm in self.trailing {
            let name = format!("{PREFIX}{}", algorithm.name());
            let value = trailers.and_then(|all| all.get(&name)?.to_str().ok());
            let missing = || s3_error!(InvalidRequest, "the trailer `{name}` is missing");
            expected.push((algorithm, value.ok_or_else(missing)?.to_owned()));
        }
        for (algorithm, value) in expected {
            if of(&found, algorithm) != Some(&*value) {
                let name = algorithm.name();
                return Err(s3_error!(BadDigest, "the body has another {name} than the one sent"));
            }
        }
        Ok(found)
    }
}

/// The value of one algorithm.
pub(crate) fn of(checksum: &dto::Checksum, algorithm: Algorithm) -> Option<&str> {
    match algorithm {
        Algorithm::Crc32 => &checksum.checksum_crc32,
        Algorithm::Crc32c => &checksum.checksum_crc32c,
        Algorithm::Crc64Nvme => &checksum.checksum_crc64nvme,
        Algorithm::Sha1 => &checksum.checksum_sha1,
        Algorithm::Sha256 => &checksum.checksum_sha256,
    }
    .as_deref()
}

/// This value, and none of the other algorithms.
pub(crate) fn only(algorithm: Algorithm, value: String) -> dto::Checksum {
    let mut checksum = dto::Checksum::default();
    set(&mut checksum, algorithm, value);
    checksum
}

/// Sets the value of one algorithm.
pub(crate) fn set(checksum: &mut dto::Checksum, algorithm: Algorithm, value: String) {
    let place = match algorithm {
        Algorithm::Crc32 => &mut checksum.checksum_crc32,
        Algorithm::Crc32c => &mut checksum.checksum_crc32c,
        Algorithm::Crc64Nvme => &mut checksum.checksum_crc64nvme,
        Algorithm::Sha1 => &mut checksum.checksum_sha1,
        Algorithm::Sha256 => &mut checksum.checksum_sha256,
    };
    *place = Some(value);
}

/// An output of an operation with these values in its five fields for them.
macro_rules! with_sums {
    ($checksum:expr, $output:expr) => {{
        let mut output = $output;
        let checksum = $checksum;
        output.checksum_crc32 = checksum.checksum_crc32;
        output.checksum_crc32c = checksum.checksum_crc32c;
        output.checksum_crc64nvme = checksum.checksum_crc64nvme;
        output.checksum_sha1 = checksum.checksum_sha1;
        output.checksum_sha256 = checksum.checksum_sha256;
        output
    }};
}
pub(crate) use with_sums;

/// The algorithm whose checksum a header holds; `None` if it holds none.
pub(crate) fn algorithm(name: &str) -> S3Result<Option<Algorithm>> {
    let name = name.to_ascii_lowercase();
    let Some(rest) = name.strip_prefix(PREFIX) else { return Ok(None) };
    if ["algorithm", "mode", "type"].contains(&rest) {
        return Ok(None);
    }
    let known = ALGORITHMS.iter().find(|(_, end, _)| *end == rest);
    let unknown = || s3_error!(NotImplemented, "this server cannot compare `{name}`");
    known.map(|(algorithm, ..)| Some(*algorithm)).ok_or_else(unknown)
}

/// A CRC-64/NVME as headers have it.
pub(crate) fn encoded(crc64: u64) -> String {
    STANDARD.encode(crc64.to_be_bytes())
}

/// The CRC-64/NVME of these bytes.
pub(crate) fn crc64(bytes: &[u8]) -> u64 {
    let mut crc = Crc64Nvme::new();
    crc.update(bytes);
    u64::from_be_bytes(crc.finalize())
}
