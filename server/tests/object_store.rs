//! What `object_store` asks of every store, through its own client of S3.

#[path = "../../adapters/object_store/tests/functions/mod.rs"]
#[macro_use]
mod functions;
#[path = "serve/served/mod.rs"]
mod served;

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper_util::rt::TokioIo;
use libtest_mimic::{Arguments, Trial};
use object_store::ClientOptions;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3CopyIfNotExists};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::integration as asked;
use object_store::path::Path;
use served::{ID, SECRET, Served};
use tokio::net::TcpStream;

macro_rules! asks {
    ($($name:ident($($argument:expr),*);)*) => {
        vec![$(trial(stringify!($name), async |store: &AmazonS3| {
            asked::$name(store, $($argument),*).await;
        })),*]
    };
    (both $($name:ident;)*) => {
        vec![$(trial(stringify!($name), async |store: &AmazonS3| {
            asked::$name(store, store).await;
        })),*]
    };
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    macro_rules! add {
        ($($asked:tt)*) => { trials.extend(asks!($($asked)*)); };
    }
    all!(add);
    trials.push(trial("get_nonexistent_object", async |store: &AmazonS3| {
        let location = Some(Path::from("a/b"));
        let error = asked::get_nonexistent_object(store, location).await.unwrap_err();
        assert!(matches!(error, object_store::Error::NotFound { .. }), "{error}");
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

/// `test` on a server of its own.
fn trial(name: &'static str, test: impl AsyncFnOnce(&AmazonS3) + Send + 'static) -> Trial {
    Trial::test(name, move || {
        let served = Served::start();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let store = AmazonS3Builder::new()
                .with_endpoint(format!("http://{}", served.address))
                .with_allow_http(true)
                .with_bucket_name("artifacts")
                .with_region("us-east-1")
                .with_access_key_id(ID)
                .with_secret_access_key(SECRET)
                // As Amazon has it since 2025.
                .with_copy_if_not_exists(S3CopyIfNotExists::HeaderWithStatus(
                    "if-none-match".into(),
                    "*".into(),
                    StatusCode::PRECONDITION_FAILED,
                ))
                .with_http_connector(Plain)
                .build()?;
            test(&store).await;
            Ok(())
        })
    })
}

/// A client of HTTP without TLS, and without all that it would bring along.
#[derive(Debug)]
struct Plain;

impl HttpConnector for Plain {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Self))
    }
}

#[async_trait::async_trait]
impl HttpService for Plain {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let failed = |error: hyper::Error| HttpError::new(HttpErrorKind::Request, error);
        let authority = request.uri().authority().expect("an address").to_string();
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().expect("a path").as_str().parse();
        parts.uri = path.expect("a path is an address");
        parts.headers.insert("host", authority.parse().expect("a host"));
        let stream = TcpStream::connect(&authority).await;
        let stream = stream.map_err(|error| HttpError::new(HttpErrorKind::Connect, error))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(failed)?;
        tokio::spawn(connection);
        let request = hyper::Request::from_parts(parts, body);
        let response = sender.send_request(request).await.map_err(failed)?;
        let body = |body: hyper::body::Incoming| {
            HttpResponseBody::new(
                body.map_err(move |error| HttpError::new(HttpErrorKind::Request, error)),
            )
        };
        Ok(response.map(body))
    }
}
