//! What in the store is not a sound artifact: foreign objects, and uploads that were never
//! completed.

use artifact_store_backend::{Error, Instant, Result, page};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use crate::bindings::{Finding, FindingKind, Findings, SweepReport};
use crate::client::{Answer, Call, settings};
use crate::cursor::Cursor;
use crate::download::head;
use crate::http::Method;
use crate::list::{Listed, listing, wrong};
use crate::name::Named;
use crate::settings::Settings;
use crate::xml::Element;

/// The prefixes of the cursors of the two halves of an audit.
const OBJECTS: &str = "objects:";
const UPLOADS: &str = "uploads:";

/// One page of the findings: first the objects, then the uploads.
pub async fn audit(cursor: Option<&str>, limit: u32) -> Result<Findings> {
    let settings = settings()?;
    let limit = page::size(limit);
    let cursor = cursor.unwrap_or(OBJECTS);
    if let Some(at) = cursor.strip_prefix(OBJECTS) {
        let Listed { objects, next } =
            listing(settings, settings.names.root(), &position(at)?, limit).await?;
        let mut items = Vec::new();
        for object in &objects {
            items.extend(examine(settings, object).await?);
        }
        let next = next.map_or_else(|| UPLOADS.to_owned(), |next| format!("{OBJECTS}{next}"));
        return Ok(Findings { items, next: Some(next) });
    }
    let at = cursor.strip_prefix(UPLOADS).ok_or_else(page::no_cursor)?;
    let page = Uploads::list(settings, &position(at)?, limit).await?;
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

/// Where a half of an audit continues.
fn position(text: &str) -> Result<Cursor> {
    match text {
        "" => Ok(Cursor::default()),
        _ => Cursor::parse(text).ok_or_else(page::no_cursor),
    }
}

/// The finding for an object.
async fn examine(settings: &Settings, object: &Element) -> Result<Option<Finding>> {
    let name = text(object, "Key")?;
    let (kind, detail) = match settings.names.parse(&name) {
        Named::Plain(_) => return Ok(None),
        Named::Foreign => (FindingKind::Foreign, "not a name that this store gives"),
        Named::Hashed => match head(settings, &name).await? {
            None => return Ok(None),
            Some(found) => match found.key() {
                Some(key) if settings.names.object(&key) == name => return Ok(None),
                Some(_) => (FindingKind::Foreign, "an artifact that belongs under another name"),
                None => {
                    (FindingKind::Damaged, "an artifact with a long key that it does not state")
                }
            },
        },
    };
    let size = object.text_of("Size").and_then(|size| size.parse().ok());
    let modified = object.text_of("LastModified").and_then(|time| time.parse().ok());
    let modified = modified.and_then(instant);
    Ok(Some(Finding { kind, name, size, modified, detail: detail.into() }))
}

/// Removes the uploads that were last written to at least `age` seconds ago. If one cannot be
/// removed, the others still are; the first such failure is returned at the end.
pub async fn sweep(age: u64) -> Result<SweepReport> {
    let settings = settings()?;
    let mut report = SweepReport { removed: 0, bytes: 0, kept: 0 };
    let mut first_failure = None;
    let mut at = Cursor::default();
    loop {
        let page = Uploads::list(settings, &at, page::MOST).await?;
        for upload in page.uploads {
            if let Err(error) = upload.sweep(settings, age, &mut report).await {
                first_failure.get_or_insert(error);
            }
        }
        match page.next {
            Some(next) => at = next,
            None => return first_failure.map_or(Ok(report), Err),
        }
    }
}

/// Some of the incomplete uploads, and where the rest continues.
struct Uploads {
    uploads: Vec<Upload>,
    next: Option<Cursor>,
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
    async fn list(settings: &Settings, at: &Cursor, limit: usize) -> Result<Self> {
        let mut call = Call::bucket("list uploads in")
            .query("uploads", "")
            .query("encoding-type", "url")
            .query("max-uploads", limit.to_string())
            .query("prefix", settings.names.root());
        if let Some((id, object)) = at.token.split_once(' ') {
            call = call.query("key-marker", object).query("upload-id-marker", id);
        }
        let answer = call.run(settings).await?;
        let root = whole(&call, answer, "ListMultipartUploadsResult")?;
        let (mut uploads, mut names) = (Vec::new(), Vec::new());
        for found in root.all("Upload") {
            let (object, id) = (text(found, "Key")?, text(found, "UploadId")?);
            names.push(format!("{object} (upload {id})"));
            // An upload under a name that is not of this store belongs to others.
            if settings.names.parse(&object) != Named::Foreign {
                let begun = found.text_of("Initiated").and_then(|time| time.parse().ok());
                uploads.push(Upload { object, id, begun });
            }
        }
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        at.check(&names, limit).map_err(|why| wrong(settings, why))?;
        let next = match is_truncated(settings, &root)? {
            true => {
                let id = text(&root, "NextUploadIdMarker")?;
                let token = format!("{id} {}", text(&root, "NextKeyMarker")?);
                Some(at.advance(&names, token).map_err(|why| wrong(settings, why))?)
            }
            false => None,
        };
        Ok(Self { uploads, next })
    }
}

impl Upload {
    /// The newest part shows when the upload was last written to; `None` if it is gone.
    async fn written(&self, settings: &Settings) -> Result<Option<Written>> {
        let mut written = Written { bytes: 0, last: self.begun };
        let mut marker = 0;
        loop {
            let call = Call::new("list parts of", Method::Get, &self.object)
                .query("uploadId", self.id.clone())
                .query("part-number-marker", marker.to_string());
            let answer = match call.run(settings).await {
                Ok(answer) => answer,
                Err(failure) if failure.is_code("NoSuchUpload") => return Ok(None),
                Err(failure) => return Err(failure.into()),
            };
            let root = whole(&call, answer, "ListPartsResult")?;
            for part in root.all("Part") {
                let number = part.text_of("PartNumber").and_then(|number| number.parse().ok());
                // Otherwise parts would be counted twice, or their listing would never end.
                marker = number.filter(|number: &u32| *number > marker).ok_or_else(|| {
                    wrong(settings, format!("the parts of `{}` are out of order", self.object))
                })?;
                let size = part.text_of("Size").and_then(|size| size.parse().ok()).unwrap_or(0);
                written.bytes = written.bytes.saturating_add(size);
                let time = part.text_of("LastModified").and_then(|time| time.parse().ok());
                written.last = written.last.max(time);
            }
            if !is_truncated(settings, &root)? {
                return Ok(Some(written));
            }
            let next = root.text_of("NextPartNumberMarker").and_then(|next| next.parse().ok());
            let is_next = |next: &u32| *next >= marker && root.all("Part").next().is_some();
            marker = next.filter(is_next).ok_or_else(|| {
                wrong(
                    settings,
                    format!(
                        "the parts of `{}` are truncated without a place to continue",
                        self.object
                    ),
                )
            })?;
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
        let call = Call::new("abort the upload of", Method::Delete, &self.object)
            .query("uploadId", self.id.clone());
        match call.run(settings).await {
            Ok(_) => {
                report.removed += 1;
                report.bytes = report.bytes.saturating_add(written.bytes);
                Ok(())
            }
            // Its writer or another sweep has removed it.
            Err(failure) if failure.is_code("NoSuchUpload") => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }
}

fn whole(call: &Call<'_>, answer: Answer, name: &str) -> Result<Element> {
    let root = answer.root.filter(|root| root.name == name);
    root.ok_or_else(|| call.foreign(answer.status, "it is not a complete listing").into())
}

/// Whether more follows. A listing that does not say so is rejected: what it leaves out could be
/// recent.
fn is_truncated(settings: &Settings, root: &Element) -> Result<bool> {
    match root.text_of("IsTruncated") {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        _ => Err(wrong(settings, "it does not say whether it is complete".into())),
    }
}

/// The text of an element, in which names are escaped.
fn text(element: &Element, name: &str) -> Result<String> {
    let text = element.text_of(name).unwrap_or_default();
    let text = percent_decode_str(text).decode_utf8().ok().filter(|text| !text.is_empty());
    let broken = || Error::Unavailable(format!("a listing has no {name}"));
    Ok(text.ok_or_else(broken)?.into_owned())
}

fn instant(time: Timestamp) -> Option<Instant> {
    let nanoseconds = u32::try_from(time.subsec_nanosecond()).ok()?;
    Some(Instant { seconds: time.as_second(), nanoseconds })
}
