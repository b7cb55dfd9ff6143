//! What lies in the store and is no sound artifact: foreign objects, and uploads that were never
//! completed.

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use rusty_s3::Method;

use crate::client::{Answer, Call, settings};
use crate::component::{Error, Finding, FindingKind, Findings, Instant, Result, SweepReport};
use crate::download::head;
use crate::list::listing;
use crate::name::Named;
use crate::settings::Settings;
use crate::xml::Element;

/// Findings of a page where the caller names no number, and the most of any page.
const PAGE: u32 = 1000;

/// Begin the cursors of the two halves of an audit.
const OBJECTS: &str = "objects:";
const UPLOADS: &str = "uploads:";

/// One page of what is no sound artifact: first among the objects, then the uploads.
pub async fn audit(cursor: Option<&str>, limit: u32) -> Result<Findings> {
    let settings = settings()?;
    let limit = if limit == 0 { PAGE } else { limit.min(PAGE) };
    let cursor = cursor.unwrap_or(OBJECTS);
    if let Some(token) = cursor.strip_prefix(OBJECTS) {
        let token = (!token.is_empty()).then_some(token);
        let (objects, next) = listing(settings, settings.names.root(), token, limit).await?;
        let mut items = Vec::new();
        for object in &objects {
            items.extend(examine(settings, object).await?);
        }
        let next = next.map_or_else(|| UPLOADS.to_owned(), |token| format!("{OBJECTS}{token}"));
        return Ok(Findings { items, next: Some(next) });
    }
    let at = cursor.strip_prefix(UPLOADS).ok_or_else(|| Error::Other("no such cursor".into()))?;
    let page = Uploads::list(settings, at, limit).await?;
    let mut items = Vec::new();
    for upload in page.uploads {
        let written = upload.written(settings).await?;
        items.push(Finding {
            kind: FindingKind::Temporary,
            name: format!("{} (upload {})", upload.object, upload.id),
            size: written.as_ref().map(|written| written.bytes),
            modified: written.and_then(|written| instant(written.last?)),
            detail: "an upload that was not completed".into(),
        });
    }
    Ok(Findings { items, next: page.next.map(|next| format!("{UPLOADS}{next}")) })
}

/// What is to be said about an object.
async fn examine(settings: &Settings, object: &Element) -> Result<Option<Finding>> {
    let name = text(object, "Key")?;
    let (kind, detail) = match settings.names.parse(&name) {
        Named::Plain(_) => return Ok(None),
        Named::Foreign => (FindingKind::Foreign, "no name that this store gives"),
        Named::Hashed => match head(settings, &name).await? {
            None => return Ok(None),
            Some(found) => match found.key() {
                Some(key) if settings.names.object(&key) == name => return Ok(None),
                Some(_) => (FindingKind::Foreign, "an artifact whose place is another one"),
                None => {
                    (FindingKind::Damaged, "an artifact with a long key, which it does not say")
                }
            },
        },
    };
    let size = object.text_of("Size").and_then(|size| size.parse().ok());
    let modified = object.text_of("LastModified").and_then(|time| time.parse().ok());
    let modified = modified.and_then(instant);
    Ok(Some(Finding { kind, name, size, modified, detail: detail.into() }))
}

/// Removes the uploads to which nothing was written for `age` seconds. One that cannot be removed
/// does not keep the others; the first such failure is reported at the end.
pub async fn sweep(age: u64) -> Result<SweepReport> {
    let settings = settings()?;
    let mut report = SweepReport { removed: 0, bytes: 0, kept: 0 };
    let mut first_failure = None;
    let mut at = String::new();
    loop {
        let page = Uploads::list(settings, &at, PAGE).await?;
        for upload in page.uploads {
            if let Err(error) = upload.sweep(settings, age, &mut report).await {
                first_failure.get_or_insert(error);
            }
        }
        match page.next {
            // What does not move on never ends.
            Some(next) if next != at => at = next,
            _ => return first_failure.map_or(Ok(report), Err),
        }
    }
}

/// Some of the uploads that are not completed, and where the rest goes on.
struct Uploads {
    uploads: Vec<Upload>,
    next: Option<String>,
}

struct Upload {
    object: String,
    id: String,
    begun: Option<Timestamp>,
}

/// What was written to an upload.
struct Written {
    bytes: u64,
    last: Option<Timestamp>,
}

impl Uploads {
    async fn list(settings: &Settings, at: &str, limit: u32) -> Result<Self> {
        let mut call = Call::bucket("list uploads in")
            .query("uploads", "")
            .query("encoding-type", "url")
            .query("max-uploads", limit.to_string())
            .query("prefix", settings.names.root());
        if let Some((id, object)) = at.split_once(' ') {
            call = call.query("key-marker", object).query("upload-id-marker", id);
        }
        let answer = call.run(settings).await?;
        let root = whole(&call, answer, "ListMultipartUploadsResult")?;
        let mut uploads = Vec::new();
        for found in root.all("Upload") {
            let (object, id) = (text(found, "Key")?, text(found, "UploadId")?);
            // An upload of others under a name that is none of ours is theirs.
            if settings.names.parse(&object) != Named::Foreign {
                let begun = found.text_of("Initiated").and_then(|time| time.parse().ok());
                uploads.push(Upload { object, id, begun });
            }
        }
        let next = match root.text_of("IsTruncated") {
            Some("true") => Some(format!(
                "{} {}",
                text(&root, "NextUploadIdMarker")?,
                text(&root, "NextKeyMarker")?
            )),
            _ => None,
        };
        Ok(Self { uploads, next })
    }
}

impl Upload {
    /// The newest part tells when it was last written to; none where the upload has gone.
    async fn written(&self, settings: &Settings) -> Result<Option<Written>> {
        let mut written = Written { bytes: 0, last: self.begun };
        let mut marker = "0".to_owned();
        loop {
            let call = Call::new("list parts of", Method::Get, &self.object)
                .query("uploadId", self.id.clone())
                .query("part-number-marker", marker.clone());
            let answer = match call.run(settings).await {
                Ok(answer) => answer,
                Err(failure) if failure.is_code("NoSuchUpload") => return Ok(None),
                Err(failure) => return Err(failure.into()),
            };
            let root = whole(&call, answer, "ListPartsResult")?;
            for part in root.all("Part") {
                let size = part.text_of("Size").and_then(|size| size.parse().ok()).unwrap_or(0);
                written.bytes = written.bytes.saturating_add(size);
                let time = part.text_of("LastModified").and_then(|time| time.parse().ok());
                written.last = written.last.max(time);
            }
            let next = root.text_of("NextPartNumberMarker").unwrap_or_default();
            if root.text_of("IsTruncated") != Some("true") || next == marker {
                return Ok(Some(written));
            }
            marker = next.to_owned();
        }
    }

    async fn sweep(&self, settings: &Settings, age: u64, report: &mut SweepReport) -> Result<()> {
        let Some(written) = self.written(settings).await? else { return Ok(()) };
        // A time in the future is age 0, and an unknown one is not old enough.
        let since = written.last.map(|last| Timestamp::now().duration_since(last).as_secs());
        if since.is_none_or(|since| u64::try_from(since).unwrap_or(0) < age) {
            report.kept += 1;
            return Ok(());
        }
        let call =
            Call::new("give up", Method::Delete, &self.object).query("uploadId", self.id.clone());
        match call.run(settings).await {
            Ok(_) => {
                report.removed += 1;
                report.bytes = report.bytes.saturating_add(written.bytes);
                Ok(())
            }
            // Its writer or another sweep was faster.
            Err(failure) if failure.is_code("NoSuchUpload") => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }
}

fn whole(call: &Call<'_>, answer: Answer, name: &str) -> Result<Element> {
    let root = answer.root.filter(|root| root.name == name);
    root.ok_or_else(|| call.foreign(answer.status, "it is no whole listing").into())
}

/// The text of an element, in which names are escaped.
fn text(element: &Element, name: &str) -> Result<String> {
    let text = element.text_of(name).unwrap_or_default();
    let text = percent_decode_str(text).decode_utf8().ok().filter(|text| !text.is_empty());
    let broken = || Error::Unavailable(format!("a listing without {name}"));
    Ok(text.ok_or_else(broken)?.into_owned())
}

fn instant(time: Timestamp) -> Option<Instant> {
    let nanoseconds = u32::try_from(time.subsec_nanosecond()).ok()?;
    Some(Instant { seconds: time.as_second(), nanoseconds })
}
