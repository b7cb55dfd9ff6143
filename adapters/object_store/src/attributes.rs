//! The names of attributes on both sides.

use object_store::{Attribute, Error, Result};

/// The attributes that both sides have.
const STANDARD: [(Attribute, &str); 5] = [
    (Attribute::ContentType, "content-type"),
    (Attribute::ContentEncoding, "content-encoding"),
    (Attribute::ContentDisposition, "content-disposition"),
    (Attribute::ContentLanguage, "content-language"),
    (Attribute::CacheControl, "cache-control"),
];

pub(crate) fn to_artifact(
    attributes: &object_store::Attributes,
) -> Result<artifact_store::Attributes> {
    let mut all = artifact_store::Attributes::new();
    for (attribute, value) in attributes {
        let standard = STANDARD.iter().find(|(standard, _)| standard == attribute);
        all = match (standard, attribute) {
            (Some((_, name)), _) => all.with(*name, value.as_ref()),
            (None, Attribute::Metadata(name)) => all.with_metadata(name, value.as_ref()),
            (None, other) => {
                let source = format!("an artifact has no attribute {other:?}").into();
                return Err(Error::NotSupported { source });
            }
        };
    }
    Ok(all)
}

pub(crate) fn to_object(attributes: &artifact_store::Attributes) -> object_store::Attributes {
    let standard = STANDARD.iter().filter_map(|(attribute, name)| {
        Some((attribute.clone(), attributes.get(name)?.to_owned()))
    });
    let own = attributes.metadata();
    let own =
        own.map(|(name, value)| (Attribute::Metadata(name.into_owned().into()), value.to_owned()));
    standard.chain(own).collect()
}
