//! A user's home, a bucket, and the services that give credentials.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use artifact_store_tests::cli;
use artifact_store_tests::scripted::{Answer, Request, Scripted, answer, error};
use artifact_store_tests::signature::{self, Signer};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

pub const SECRET: &str = "hush/secret+of=all";
pub const TOKEN: &str = "hush-session";

/// A bucket in which everything can be deleted, and nothing is.
pub fn bucket() -> Scripted {
    Scripted::start(|request, _| Answer::Send(served(request)))
}

pub fn served(request: &Request) -> Vec<u8> {
    let empty = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    match request.method.as_str() {
        "GET" if request.query.contains("list-type") => answer(200, "", empty),
        "DELETE" => answer(204, "", ""),
        "HEAD" => answer(404, "", ""),
        _ => error(404, "NoSuchKey"),
    }
}

pub fn later(seconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(seconds)
}

/// Keys as containers, instances and programs state them.
pub fn json(key: &str, end: Timestamp) -> String {
    format!(
        "{{\"Version\": 1, \"Code\": \"Success\", \"AccessKeyId\": \"{key}\", \
         \"SecretAccessKey\": \"{SECRET}\", \"SessionToken\": \"{TOKEN}\", \"Token\": \"{TOKEN}\", \
         \"Expiration\": \"{end}\"}}"
    )
}

/// The services that give credentials: to an instance, a container, and for a web identity.
pub fn givers() -> Scripted {
    Scripted::start(|request, _| {
        let is = |name: &str, value: &str| request.header(name) == Some(value);
        let body = match (request.method.as_str(), request.path.as_str()) {
            ("PUT", "/latest/api/token") => "hush-instance".into(),
            (_, path) if path.starts_with("/latest/meta-data/") => {
                if !is("x-aws-ec2-metadata-token", "hush-instance") {
                    return Answer::Send(answer(401, "", "hush-instance"));
                }
                match path.strip_prefix("/latest/meta-data/iam/security-credentials/") {
                    Some("") => "role".into(),
                    Some("role") => json("AKIAINSTANCE", later(3600)),
                    _ => return Answer::Send(answer(404, "", "")),
                }
            }
            ("GET", "/container") if is("authorization", "hush-container") => {
                json("AKIACONTAINER", later(3600))
            }
            ("POST", "/") => {
                let asked = String::from_utf8_lossy(&request.body);
                assert!(asked.contains("WebIdentityToken=hush-identity"), "{asked}");
                assert!(asked.contains("RoleSessionName=artifact-store"), "{asked}");
                web_identity()
            }
            _ => return Answer::Send(answer(403, "", "hush-container is wrong")),
        };
        Answer::Send(answer(200, "", &body))
    })
}

fn web_identity() -> String {
    let result = "AssumeRoleWithWebIdentityResult";
    format!(
        "<AssumeRoleWithWebIdentityResponse><{result}><Credentials>\
         <AccessKeyId>AKIAIDENTITY</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
         <SessionToken>{TOKEN}</SessionToken><Expiration>{}</Expiration>\
         </Credentials></{result}></AssumeRoleWithWebIdentityResponse>",
        later(3600)
    )
}

/// A user's home with what Amazon's tools read there.
pub struct Home(TempDir);

impl Home {
    pub fn new(config: &str, credentials: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.write("config", config);
        home.write("credentials", credentials);
        home
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// The command line in this home, with a bucket on `s3`.
    pub fn command(&self, s3: &Scripted, arguments: &[&str]) -> Command {
        let mut command = cli();
        command.args(arguments).current_dir(self.path()).env("S3_BUCKET", "bucket");
        command.env("AWS_ENDPOINT_URL_S3", s3.endpoint());
        command.env("AWS_CONFIG_FILE", self.path().join("config"));
        command.env("AWS_SHARED_CREDENTIALS_FILE", self.path().join("credentials"));
        command
    }
}

pub const DELETE: [&str; 4] = ["-vv", "--backend", "s3", "delete"];

/// Its exit code, and what it says on standard error, in which there is no secret.
pub fn said(output: &Output) -> (Option<i32>, String) {
    let [text, error] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    assert!(!text.contains("hush") && !error.contains("hush"), "{text} {error}");
    (output.status.code(), error.into_owned())
}

/// The key by which a request is signed, and the region.
pub fn signed_by(request: &Request) -> (String, String) {
    let authorization = request.header("authorization").expect("it is signed");
    let key = authorization.split(['=', '/']).nth(1).unwrap().to_owned();
    let signer = Signer { key: key.clone().leak(), secret: SECRET };
    let signed = signature::verify(request, &BTreeMap::new(), &signer).expect("it is right");
    (key, signed.region)
}
