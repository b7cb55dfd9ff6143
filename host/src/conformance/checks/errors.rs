use super::super::direct::Upload;
use super::super::subject::{Subject, Verdict};
use super::super::{Check, Group::Errors, Interface};

pub(super) const CHECKS: &[Check] =
    &[Check::new("no_error_shows_the_payload", Errors, &["error-2"], secrets).direct()];

const SECRET: &str = "payload-3f9a1c";

fn secrets(s: &Subject) -> Verdict {
    let long = "k".repeat(1025);
    let mut texts = Vec::new();
    let mut keep = |error: Option<crate::ErrorKind>| texts.extend(error.map(|e| e.to_string()));
    s.ok("", s.put("k", SECRET))?;
    for key in ["", &long, "a\nb"] {
        keep(s.put(key, SECRET).err());
    }
    if s.offers(Interface::Streams) {
        let upload = Upload::of(SECRET.as_bytes());
        keep(s.write("k", upload.clone().sealed(1, 1)).err());
        keep(s.write("k", upload.clone().announced(1)).err());
        keep(s.write("k", upload.clone().create()).err());
        keep(s.write("k", upload.given_up("why")).err());
        keep(s.read("k", 1000, None).err());
    }
    let found = texts.into_iter().find(|text| text.contains(SECRET));
    s.check(found.is_none(), "texts without payload", found.unwrap_or_default())
}
