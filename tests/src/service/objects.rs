//! The objects of the service: what is stored, read and listed.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::uploads::Upload;
use super::{CRC64, Refused, Service, crc, refuse};
use crate::scripted::{Request, answer};

#[derive(Default)]
pub(super) struct State {
    pub(super) objects: BTreeMap<String, Object>,
    pub(super) uploads: BTreeMap<String, Upload>,
    pub(super) made: u64,
}

#[derive(Clone)]
pub(super) struct Object {
    pub(super) body: Vec<u8>,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) tag: String,
    pub(super) modified: Timestamp,
}

impl Service {
    /// Stores the object; its tag.
    pub(super) fn keep(
        &self,
        state: &mut State,
        name: &str,
        body: Vec<u8>,
        metadata: Vec<(String, String)>,
    ) -> String {
        state.made += 1;
        let tag = match self.differences.quotes_tags {
            true => format!("\"{:x}\"", state.made),
            false => format!("{:x}", state.made),
        };
        state.objects.insert(
            name.to_owned(),
            Object { body, metadata, tag: tag.clone(), modified: Timestamp::now() },
        );
        tag
    }

    pub(super) fn read(
        &self,
        state: &State,
        name: &str,
        request: &Request,
    ) -> Result<Vec<u8>, Refused> {
        let object = state.objects.get(name).ok_or_else(|| refuse(404, "NoSuchKey"))?;
        let size = object.body.len();
        let range = request.header("range").map(|range| range_of(range, size));
        let (status, part) = match range {
            None => (200, 0..size),
            Some(Some(part)) => (206, part),
            Some(None) => return Err(refuse(416, "InvalidRange")),
        };
        let mut head = format!("HTTP/1.1 {status} Because\r\ncontent-length: {}\r\n", part.len());
        let _ = write!(head, "etag: {}\r\n", object.tag);
        let _ =
            write!(head, "last-modified: {}\r\n", object.modified.strftime("%a, %d %b %Y %T GMT"));
        if status == 206 {
            let (first, last) = (part.start, part.end - 1);
            let _ = write!(head, "content-range: bytes {first}-{last}/{size}\r\n");
        }
        if self.differences.knows_checksum && request.header("x-amz-checksum-mode").is_some() {
            let _ = write!(head, "{CRC64}: {}\r\n", crc(&object.body));
            head += "x-amz-checksum-type: FULL_OBJECT\r\n";
        }
        if !object.metadata.iter().any(|(name, _)| name == "content-type") {
            head += "content-type: binary/octet-stream\r\n";
        }
        for (name, value) in &object.metadata {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let mut bytes = (head + "\r\n").into_bytes();
        if request.method == "GET" {
            bytes.extend(&object.body[part]);
        }
        Ok(bytes)
    }

    pub(super) fn list(
        &self,
        state: &State,
        query: &BTreeMap<String, String>,
    ) -> Result<Vec<u8>, Refused> {
        let get = |name: &str| query.get(name).map_or("", String::as_str);
        if get("list-type") != "2" {
            return Err(refuse(501, "NotImplemented"));
        }
        let most = get("max-keys").parse().map_or(1000, |most: usize| most.min(1000));
        let most = most.min(self.differences.page);
        // The token is what the last page ended with, and opaque.
        let after = percent_decode_str(get("continuation-token")).decode_utf8_lossy().into_owned();
        let found = state.objects.iter().filter(|(name, _)| {
            name.starts_with(get("prefix")) && (after.is_empty() || **name > after)
        });
        let found: Vec<_> = found.take(most + 1).collect();
        let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult \
             xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            .to_owned();
        for (name, object) in found.iter().take(most) {
            let name = match get("encoding-type") {
                "url" => utf8_percent_encode(name, NON_ALPHANUMERIC).to_string(),
                _ => (*name).clone(),
            };
            let tag = object.tag.replace('"', "&quot;");
            let size = object.body.len();
            let modified = object.modified.strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
            let _ = write!(
                text,
                "<Contents><Key>{name}</Key><LastModified>{modified}</LastModified>\
                 <ETag>{tag}</ETag><Size>{size}</Size></Contents>"
            );
        }
        let is_cut = found.len() > most;
        let _ = write!(text, "<IsTruncated>{is_cut}</IsTruncated>");
        if let Some((last, _)) = found.get(most - 1).filter(|_| is_cut) {
            let token = utf8_percent_encode(last, NON_ALPHANUMERIC);
            let _ = write!(text, "<NextContinuationToken>{token}</NextContinuationToken>");
        }
        Ok(answer(200, "", &(text + "</ListBucketResult>")))
    }
}

pub(super) fn check_condition(state: &State, name: &str, request: &Request) -> Result<(), Refused> {
    let found = state.objects.get(name);
    let tag = |tag: &str| tag.trim_matches('"').to_owned();
    match (request.header("if-none-match"), request.header("if-match"), found) {
        (Some("*"), _, Some(_)) => Err(refuse(412, "PreconditionFailed")),
        // As Amazon says it.
        (_, Some(_), None) => Err(refuse(404, "NoSuchKey")),
        // A service that removes the quotes first takes this, too, for any object.
        (_, Some("*" | "\"*\""), Some(_)) => Ok(()),
        (_, Some(asked), Some(found)) if tag(asked) != tag(&found.tag) => {
            Err(refuse(412, "PreconditionFailed"))
        }
        _ => Ok(()),
    }
}

/// What is kept with an object: metadata, except an empty one, and the headers of HTTP.
pub(super) fn metadata(request: &Request) -> Vec<(String, String)> {
    const KEPT: [&str; 5] = [
        "content-type",
        "content-encoding",
        "content-disposition",
        "content-language",
        "cache-control",
    ];
    let is_kept = |(name, value): &&(String, String)| {
        KEPT.contains(&name.as_str()) || (name.starts_with("x-amz-meta-") && !value.is_empty())
    };
    request.headers.iter().filter(is_kept).cloned().collect()
}

/// The part of `size` bytes that the header names; none where there is no such part.
pub(super) fn range_of(header: &str, size: usize) -> Option<std::ops::Range<usize>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let first: usize = first.parse().ok()?;
    let end = last.parse().map_or(size, |last: usize| last.saturating_add(1).min(size));
    (first < end).then_some(first..end)
}
