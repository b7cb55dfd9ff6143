//! The operations of S3 on stores.

pub(crate) mod acl;
pub(crate) mod buckets;
pub(crate) mod copy;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod object;
pub(crate) mod uploads;
