//! The subset of XML that S3 uses. A document is accepted only as a whole: a truncated one is
//! rejected.

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;

/// How deep elements may be nested.
const DEPTH: usize = 16;

/// An element: its name without a namespace, its own text, and its children.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The root of a document; `None` if it is not a complete document.
    pub fn parse(document: &str) -> Option<Self> {
        let mut reader = Reader::from_str(document);
        // The open elements; the last one is closed into the one before it.
        let mut open: Vec<Self> = Vec::new();
        let mut root = None;
        loop {
            let closed = match reader.read_event().ok()? {
                Event::Start(start) => {
                    if root.is_some() || open.len() == DEPTH {
                        return None;
                    }
                    open.push(Self::named(start.local_name().as_ref()));
                    continue;
                }
                Event::Empty(empty) if root.is_none() => Self::named(empty.local_name().as_ref()),
                Event::End(_) => open.pop()?,
                Event::Text(text) => {
                    match open.last_mut() {
                        Some(element) => element.text.push_str(&text.xml10_content()),
                        None if text.trim().is_empty() => {}
                        None => return None,
                    }
                    continue;
                }
                Event::CData(text) => {
                    open.last_mut()?.text.push_str(&text.xml10_content());
                    continue;
                }
                Event::GeneralRef(name) => {
                    let text = &mut open.last_mut()?.text;
                    match name.resolve_char_ref().ok()? {
                        Some(c) => text.push(c),
                        None => text.push_str(resolve_predefined_entity(&name.xml10_content())?),
                    }
                    continue;
                }
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) => continue,
                Event::Eof => return root.filter(|_| open.is_empty()),
                // A document type, or a second root.
                _ => return None,
            };
            match open.last_mut() {
                Some(parent) => parent.children.push(closed),
                None => root = Some(closed),
            }
        }
    }

    fn named(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The children with this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child with this name.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|child| child.text.as_str())
    }
}

/// The body that completes an upload with the parts of these tags.
pub fn complete_upload(tags: &[String]) -> String {
    let mut body = String::from("<CompleteMultipartUpload>");
    for (number, tag) in (1..).zip(tags) {
        let tag = escape(tag.as_str());
        body += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
    }
    body + "</CompleteMultipartUpload>"
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "<?xml version=\"1.0\"?>\n<ListBucketResult \
        xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Contents><Key>a&amp;b&#x2f;</Key>\
        <ETag>&quot;1&quot;</ETag></Contents><Contents><Key/></Contents>\
        <x:IsTruncated xmlns:x='y'>false</x:IsTruncated></ListBucketResult>\n";

    #[test]
    fn elements_are_found_whatever_their_namespace() {
        let root = Element::parse(LISTING).unwrap();
        assert_eq!(root.name, "ListBucketResult");
        let keys: Vec<_> = root.all("Contents").map(|c| c.text_of("Key").unwrap()).collect();
        assert_eq!(keys, ["a&b/", ""]);
        assert_eq!(root.text_of("IsTruncated"), Some("false"));
    }

    #[test]
    fn a_document_that_is_cut_is_none() {
        let end = LISTING.trim_end().len();
        for cut in 0..end {
            assert_eq!(Element::parse(&LISTING[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn other_documents_are_none() {
        let deep = "<a>".repeat(100) + &"</a>".repeat(100);
        for text in
            ["", "x", "<a></b>", "<a/><b/>", "<a/>x", "<!DOCTYPE a><a/>", "<a>&x;</a>", &deep]
        {
            assert_eq!(Element::parse(text), None, "{text}");
        }
        assert!(Element::parse("<html><body>hello</body></html>").is_some());
    }
}
