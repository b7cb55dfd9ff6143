//! Uploads in parts.

use std::collections::BTreeMap;
use std::fmt::Write;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::objects::{State, check_condition, metadata};
use super::{CRC64, Refused, Service, crc, refuse};
use crate::scripted::{Request, answer};

pub(super) struct Upload {
    pub(super) name: String,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) parts: BTreeMap<usize, Vec<u8>>,
}

impl Service {
    /// What is done with an upload that has begun.
    pub(super) fn upload(
        &self,
        state: &mut State,
        method: &str,
        id: &str,
        part: Option<&str>,
        request: &Request,
    ) -> Result<Vec<u8>, Refused> {
        let copied = self.source(state, request)?.map(|original| original.body);
        let upload = state.uploads.get_mut(id).expect("it was looked at");
        match (method, part.and_then(|part| part.parse::<usize>().ok())) {
            ("PUT", Some(number @ 1..=10_000)) if copied.is_some() => {
                upload.parts.extend(copied.map(|body| (number, body)));
                let tag = format!("<ETag>&quot;part{number}&quot;</ETag>");
                Ok(answer(200, "", &format!("<CopyPartResult>{tag}</CopyPartResult>")))
            }
            ("PUT", Some(number @ 1..=10_000)) => {
                upload.parts.insert(number, request.body.clone());
                Ok(answer(200, &format!("etag: \"part{number}\"\r\n"), ""))
            }
            ("DELETE", None) => {
                state.uploads.remove(id);
                Ok(answer(204, "", ""))
            }
            ("GET", None) => {
                let mut text = "<ListPartsResult><IsTruncated>false</IsTruncated>".to_owned();
                for (number, part) in &upload.parts {
                    let size = part.len();
                    let number = format!("<PartNumber>{number}</PartNumber>");
                    let _ = write!(text, "<Part>{number}<Size>{size}</Size></Part>");
                }
                Ok(answer(200, "", &(text + "</ListPartsResult>")))
            }
            ("POST", None) => {
                let named = String::from_utf8_lossy(&request.body).into_owned();
                let is_named = |number| {
                    named.contains(&format!("<PartNumber>{number}</PartNumber><ETag>&quot;part"))
                };
                let count = upload.parts.len();
                if !upload.parts.keys().all(is_named) || named.matches("<Part>").count() != count {
                    return Err(refuse(400, "InvalidPart"));
                }
                // All but the last one have the least size of a part.
                if upload.parts.values().rev().skip(1).any(|part| part.len() < 5 << 20) {
                    return Err(refuse(400, "EntityTooSmall"));
                }
                let body = upload.parts.values().flatten().copied().collect::<Vec<_>>();
                if request.header(CRC64).is_some_and(|stated| stated != crc(&body)) {
                    return Err(refuse(400, "BadDigest"));
                }
                let name = upload.name.clone();
                check_condition(state, &name, request)?;
                let metadata = state.uploads.remove(id).expect("it was looked at").metadata;
                let tag = self.keep(state, &name, body, metadata).replace('"', "&quot;");
                let done = "CompleteMultipartUploadResult";
                Ok(answer(200, "", &format!("<{done}><ETag>{tag}</ETag></{done}>")))
            }
            _ => Err(refuse(405, "MethodNotAllowed")),
        }
    }
}

pub(super) fn begin(state: &mut State, name: &str, request: &Request) -> Vec<u8> {
    state.made += 1;
    let id = format!("upload {}+/", state.made);
    let (parts, metadata) = (BTreeMap::new(), metadata(request));
    state.uploads.insert(id.clone(), Upload { name: name.into(), metadata, parts });
    let text = format!("<UploadId>{id}</UploadId>");
    answer(
        200,
        "",
        &format!("<InitiateMultipartUploadResult>{text}</InitiateMultipartUploadResult>"),
    )
}

pub(super) fn uploads(state: &State) -> Vec<u8> {
    let mut text = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>".to_owned();
    for (id, upload) in &state.uploads {
        let name = utf8_percent_encode(&upload.name, NON_ALPHANUMERIC);
        let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
        let _ = write!(text, "<Upload><Key>{name}</Key><UploadId>{id}</UploadId></Upload>");
    }
    answer(200, "", &(text + "</ListMultipartUploadsResult>"))
}
