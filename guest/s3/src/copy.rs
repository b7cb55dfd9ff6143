//! Copies within the bucket: the service moves the bytes.

use artifact_store_backend::{Error, Info, Mode, Result};

use crate::bindings::WriteOptions;
use crate::client::{Call, random, settings};
use crate::download::{Place, look};
use crate::failure::Failure;
use crate::http::Method;
use crate::multipart::Multipart;
use crate::settings::Settings;
use crate::upload::settle;
use crate::version;

/// The largest copy by one request, in bytes: it takes a service some seconds.
const BY_REQUEST: u64 = 1 << 30;

/// The largest copy at all. A larger one may take longer than a host waits for a call in which no
/// bytes move; a host that moves the bytes itself sees them move.
const MOST: u64 = 16 << 30;

/// The generation of an artifact that is copied.
pub struct Original {
    /// The object, with its bucket.
    object: String,
    tag: String,
    pub info: Info,
}

impl Original {
    async fn find(settings: &Settings, key: &str) -> Result<Self> {
        let place = Place::of(settings, key);
        let info = look(settings, &place).await?.ok_or(Error::NotFound)?;
        let object = format!("/{}/{}", settings.bucket.name, place.object);
        let Some(version) = &info.version else {
            return Err(Error::Unsupported(format!(
                "the service has no usable ETag of `{object}`"
            )));
        };
        Ok(Self { tag: version::tag(version), object, info })
    }

    /// Copies this generation or none.
    pub fn of<'a>(&self, call: Call<'a>) -> Call<'a> {
        call.header("x-amz-copy-source", &self.object)
            .header("x-amz-copy-source-if-match", &self.tag)
    }

    /// The error if that condition does not hold.
    pub fn replaced(&self) -> Error {
        Error::Unavailable(format!("`{}` was replaced while it was copied", self.object))
    }

    /// Whether that is why a copy failed, which then did nothing.
    pub fn was_replaced(failure: &Failure) -> bool {
        failure.is_precondition() && !failure.is_open
    }
}

pub async fn copy(source: &str, target: &str, mode: Mode) -> Result<Info> {
    let settings = settings()?;
    let original = Original::find(settings, source).await?;
    let Info { size, checksum, ref attributes, .. } = original.info;
    if size > MOST {
        return Err(Error::Unsupported(format!(
            "more than {MOST} bytes are not copied in one call"
        )));
    }
    if matches!(&mode, Mode::Replace(version) if !version::is_possible(version)) {
        return Err(Error::ConditionFailed);
    }
    let place = Place::of(settings, target);
    let options = WriteOptions { mode, size: Some(size), attributes: attributes.clone() };
    let version = match options.mode {
        Mode::Overwrite if size <= BY_REQUEST => by_request(settings, &original, &place).await?,
        // Not every service knows the condition of a copy, and one that ignored it would replace an
        // artifact. That of a put is known best.
        Mode::Create | Mode::Replace(_) if size <= settings.part as u64 => {
            let text = "a small artifact is copied under a condition by reading and storing it";
            return Err(Error::Unsupported(text.into()));
        }
        _ => {
            let parts = Multipart::new(settings, &place, &options).of(&original);
            let copied = async {
                parts.copy(&original).await?;
                parts.complete(checksum).await
            };
            match copied.await {
                Ok(version) => version,
                Err(error) => return Err(parts.abort(error).await),
            }
        }
    };
    Ok(Info { modified: None, version, ..original.info })
}

/// Returns the version.
async fn by_request(
    settings: &Settings,
    original: &Original,
    place: &Place<'_>,
) -> Result<Option<String>> {
    let write = random();
    let mut call = original
        .of(Call::new("copy to", Method::Put, &place.object))
        .header("x-amz-metadata-directive", "REPLACE")
        .artifact(place.key, place.is_hashed, &write)
        .attributes(&original.info.attributes);
    if let Some(checksum) = original.info.checksum {
        call = call.keep_checksum(checksum);
    }
    if settings.sends_checksum {
        call = call.header("x-amz-checksum-algorithm", "CRC64NVME");
    }
    match call.run(settings).await {
        Ok(answer) => match answer.root {
            Some(root) if root.name == "CopyObjectResult" => {
                Ok(place.version(settings, &write, root.text_of("ETag")).await)
            }
            _ => Err(call.foreign(answer.status, "it does not report a copy").into()),
        },
        Err(failure) if Original::was_replaced(&failure) => Err(original.replaced()),
        Err(failure) => settle(settings, &place.object, &write, &Mode::Overwrite, failure).await,
    }
}
