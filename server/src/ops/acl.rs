//! Access lists. There is one, of everything: the owner has all rights. What each access key permits is
//! in the configuration, where no client changes it.

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use crate::access::is_private;
use crate::opened::info;
use crate::served::Service;

/// The one whose buckets and objects these are, and for whom the holders of all keys act.
const OWNER: &str = "artifact-store";

pub(crate) fn owner() -> Owner {
    Owner { id: Some(OWNER.to_owned()), display_name: Some(OWNER.to_owned()) }
}

/// The one right of each list.
fn grants() -> Grants {
    let Owner { id, display_name } = owner();
    let type_ = Type::from_static(Type::CANONICAL_USER);
    let grantee = Grantee { id, display_name, type_, email_address: None, uri: None };
    let permission = Permission::from_static(Permission::FULL_CONTROL);
    vec![Grant { grantee: Some(grantee), permission: Some(permission) }]
}

pub(crate) async fn of_object(
    service: &Service,
    request: S3Request<GetObjectAclInput>,
) -> S3Result<GetObjectAclOutput> {
    let input = request.input;
    info(service.object(&input.bucket, &input.key)?, &input.key).await?;
    let (grants, owner) = (Some(grants()), Some(owner()));
    Ok(GetObjectAclOutput { grants, owner, ..GetObjectAclOutput::default() })
}

pub(crate) async fn of_bucket(
    service: &Service,
    request: S3Request<GetBucketAclInput>,
) -> S3Result<GetBucketAclOutput> {
    service.store(&request.input.bucket)?;
    Ok(GetBucketAclOutput { grants: Some(grants()), owner: Some(owner()) })
}

pub(crate) async fn set_object(
    service: &Service,
    request: S3Request<PutObjectAclInput>,
) -> S3Result<PutObjectAclOutput> {
    let input = request.input;
    info(service.object(&input.bucket, &input.key)?, &input.key).await?;
    let canned = input.acl.as_ref().map(ObjectCannedACL::as_str);
    check(canned, input.access_control_policy.as_ref())?;
    Ok(PutObjectAclOutput::default())
}

pub(crate) async fn set_bucket(
    service: &Service,
    request: S3Request<PutBucketAclInput>,
) -> S3Result<PutBucketAclOutput> {
    let input = request.input;
    service.store(&input.bucket)?;
    let canned = input.acl.as_ref().map(BucketCannedACL::as_str);
    check(canned, input.access_control_policy.as_ref())?;
    Ok(PutBucketAclOutput::default())
}

/// Fails unless the list that a client wants is the one that there is.
fn check(canned: Option<&str>, policy: Option<&AccessControlPolicy>) -> S3Result<()> {
    let is_the_one = match (canned, policy) {
        (None, None) => {
            return Err(s3_error!(MissingSecurityHeader, "a request to set a list has none"));
        }
        (Some(_), Some(_)) => {
            return Err(s3_error!(UnexpectedContent, "`x-amz-acl` or a list, not both"));
        }
        (Some(canned), None) => is_private(canned.as_bytes()),
        (None, Some(policy)) => is_that_of_owner(policy),
    };
    match is_the_one {
        true => Ok(()),
        false => Err(s3_error!(NotImplemented, "of access lists this server has `private` only")),
    }
}

/// A name to show is no part of who somebody is: clients may leave it out.
fn is_that_of_owner(policy: &AccessControlPolicy) -> bool {
    let is_owner = |id: Option<&str>| id == Some(OWNER);
    let is_owners = policy.owner.as_ref().is_none_or(|owner| is_owner(owner.id.as_deref()));
    let Some([Grant { grantee: Some(grantee), permission: Some(permission) }]) =
        policy.grants.as_deref()
    else {
        return false;
    };
    is_owners
        && permission.as_str() == Permission::FULL_CONTROL
        && grantee.type_.as_str() == Type::CANONICAL_USER
        && is_owner(grantee.id.as_deref())
        && grantee.email_address.is_none()
        && grantee.uri.is_none()
}
