//! Access lists: there is one, and nothing changes it.

use crate::served::client::Reply;
use crate::served::{Client, Served};

/// What a client sends back to set the list that it got.
fn list(id: &str, permission: &str) -> String {
    let kind = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"";
    format!(
        "<AccessControlPolicy><Owner><ID>{id}</ID></Owner><AccessControlList>\
         <Grant><Grantee {kind}><ID>{id}</ID></Grantee><Permission>{permission}</Permission></Grant>\
         </AccessControlList></AccessControlPolicy>"
    )
}

/// The owner, who has all rights.
fn owner(list: &Reply) -> String {
    let ids = list.fields("ID");
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "{}", list.text());
    assert_eq!(list.fields("Permission"), ["FULL_CONTROL"]);
    assert!(list.text().contains("xsi:type=\"CanonicalUser\""), "{}", list.text());
    ids[0].clone()
}

#[test]
fn the_owner_of_everything_is_the_same_in_lists_and_listings() {
    let served = Served::start();
    let client = served.client();
    client.put("/artifacts/k", b"1").ok();
    let id = owner(&client.get("/artifacts/k?acl=").ok());
    let name = client.get("/artifacts/k?acl=").field("DisplayName");
    // Also for another key: whoever has one acts for the owner.
    let reader = served.client_of("reader");
    assert_eq!(owner(&reader.get("/artifacts?acl=").ok()), id);
    for target in ["/", "/artifacts", "/artifacts?list-type=2&fetch-owner=true"] {
        let listed = reader.get(target).ok();
        assert_eq!(listed.fields("ID"), [&*id], "{target}");
        assert_eq!(listed.field("DisplayName"), name, "{target}");
    }
    assert_eq!(client.get("/artifacts?list-type=2").ok().field("Owner"), None);
    client.get("/artifacts/absent?acl=").is(404, "NoSuchKey");
    client.get("/absent?acl=").is(404, "NoSuchBucket");
    served.client_of("narrow").get("/artifacts/k?acl=").is(403, "AccessDenied");
    served.client_of("narrow").get("/absent?acl=").is(403, "AccessDenied");
}

#[test]
fn only_the_list_that_is_there_can_be_set() {
    let served = Served::start();
    let client = served.client();
    client.put("/artifacts/k", b"1").ok();
    let id = owner(&client.get("/artifacts/k?acl=").ok());
    let set = |client: &Client, target: &str, headers: &[(&str, &str)], body: &str| {
        client.send("PUT", target, headers, body.as_bytes())
    };
    let private = [("x-amz-acl", "private")];
    let all = list(&id, "FULL_CONTROL");
    for target in ["/artifacts/k?acl=", "/artifacts?acl="] {
        set(&client, target, &private, "").ok();
        set(&client, target, &[("x-amz-acl", "bucket-owner-full-control")], "").ok();
        set(&client, target, &[], &all).ok();
        for canned in ["public-read", "public-read-write", "authenticated-read", ""] {
            set(&client, target, &[("x-amz-acl", canned)], "").is(501, "NotImplemented");
        }
        set(&client, target, &[("x-amz-grant-read", "id=1")], "").is(501, "NotImplemented");
        let everyone = "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>";
        let grant =
            all.split_once("<Grant>").unwrap().1.split_once("</AccessControlList>").unwrap();
        for other in [
            list(&id, "READ"),
            list("somebody", "FULL_CONTROL"),
            all.replacen(&id, "somebody", 1),
            all.replace("CanonicalUser", "Group"),
            all.replace("</Grantee>", everyone),
            all.replace("</AccessControlList>", &format!("<Grant>{}</AccessControlList>", grant.0)),
            all.replace(&format!("<Grant>{}", grant.0), ""),
            "<AccessControlPolicy/>".to_owned(),
        ] {
            set(&client, target, &[], &other).is(501, "NotImplemented");
        }
        set(&client, target, &[], "").is(400, "MissingSecurityHeader");
        set(&client, target, &private, &all).is(400, "UnexpectedContent");
        set(&client, target, &[], "<AccessControlPolicy>").is(400, "MalformedXML");
        set(&served.client_of("reader"), target, &private, "").is(403, "AccessDenied");
        set(&served.client_of("narrow"), target, &private, "").is(403, "AccessDenied");
        set(&served.client_of("appender"), target, &private, "").ok();
        assert_eq!(owner(&client.get(target).ok()), id);
    }
    set(&client, "/artifacts/absent?acl=", &private, "").is(404, "NoSuchKey");
    set(&client, "/absent?acl=", &private, "").is(404, "NoSuchBucket");
    assert_eq!(client.get("/artifacts/k").ok().text(), "1");
}

#[test]
fn whatever_stores_an_object_can_ask_for_the_list_that_it_gets() {
    let served = Served::start();
    let client = served.client();
    client.put("/artifacts/from", b"1").ok();
    let source = ("x-amz-copy-source", "/artifacts/from");
    for (name, value, is_true) in [
        ("x-amz-acl", "private", true),
        ("x-amz-acl", "bucket-owner-full-control", true),
        ("x-amz-acl", "public-read", false),
        ("x-amz-grant-full-control", "id=1", false),
    ] {
        for reply in [
            client.send("PUT", "/artifacts/k", &[(name, value)], b"1"),
            client.send("PUT", "/artifacts/k", &[(name, value), source], b""),
            client.send("POST", "/artifacts/k?uploads=", &[(name, value)], b""),
        ] {
            match is_true {
                true => drop(reply.ok()),
                false => reply.is(501, "NotImplemented"),
            }
        }
    }
}
