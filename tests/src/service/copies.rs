//! Copies of objects. As older services do, this one ignores the conditions of a copied object's
//! target.

use percent_encoding::percent_decode_str;

use super::objects::{Object, State, metadata, range_of};
use super::{Refused, Service, refuse};
use crate::scripted::{Request, answer};
use crate::weed;

pub(super) const SOURCE: &str = "x-amz-copy-source";

impl Service {
    /// The object that the request copies, as far as it copies it; none if it copies none.
    pub(super) fn source(
        &self,
        state: &State,
        request: &Request,
    ) -> Result<Option<Object>, Refused> {
        let Some(named) = request.header(SOURCE) else { return Ok(None) };
        let named = percent_decode_str(named).decode_utf8_lossy();
        let named = named.strip_prefix('/').unwrap_or(&named);
        let name = named.strip_prefix(weed::BUCKET).and_then(|name| name.strip_prefix('/'));
        let name = name.ok_or_else(|| refuse(404, "NoSuchBucket"))?;
        let mut found = state.objects.get(name).ok_or_else(|| refuse(404, "NoSuchKey"))?.clone();
        let is_asked = |tag: &str| tag.trim_matches('"') == found.tag.trim_matches('"');
        if !request.header("x-amz-copy-source-if-match").is_none_or(is_asked) {
            return Err(refuse(412, "PreconditionFailed"));
        }
        if let Some(range) = request.header("x-amz-copy-source-range") {
            let range = range_of(range, found.body.len());
            found.body = found.body[range.ok_or_else(|| refuse(416, "InvalidRange"))?].to_vec();
        }
        if let (true, Some(first)) = (self.differences.spoils_copies, found.body.first_mut()) {
            *first ^= 1;
        }
        Ok(Some(found))
    }

    pub(super) fn copy(
        &self,
        state: &mut State,
        name: &str,
        request: &Request,
    ) -> Result<Vec<u8>, Refused> {
        let found = self.source(state, request)?.ok_or_else(|| refuse(404, "NoSuchKey"))?;
        let kept = match request.header("x-amz-metadata-directive") {
            Some("REPLACE") => metadata(request),
            _ => found.metadata,
        };
        let tag = self.keep(state, name, found.body, kept).replace('"', "&quot;");
        Ok(answer(200, "", &format!("<CopyObjectResult><ETag>{tag}</ETag></CopyObjectResult>")))
    }
}
