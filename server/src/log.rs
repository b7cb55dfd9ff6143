//! The access log: one line a request, when its answer has been sent or given up.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use http::{Method, Response, header};

use crate::keys::random;
use crate::telemetry::{self, Ended};

/// One request.
#[derive(Debug)]
pub(crate) struct Entry {
    id: String,
    method: Method,
    begun: Instant,
    named: OnceLock<Named>,
    received: AtomicU64,
    sent: AtomicU64,
    status: AtomicU16,
    is_kept_alive: AtomicBool,
    has_failed: AtomicBool,
}

/// What is known of a request once its signature was verified.
#[derive(Debug, Default)]
struct Named {
    operation: String,
    bucket: String,
    key: String,
}

impl Entry {
    pub(crate) fn new(method: Method) -> Self {
        Self {
            // Without random numbers it has none.
            id: random(16).unwrap_or_default(),
            method,
            begun: Instant::now(),
            named: OnceLock::new(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            status: AtomicU16::new(0),
            is_kept_alive: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
        }
    }

    /// What tells it from all others, to its client and in the log.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn name(&self, operation: &str, bucket: Option<&str>, key: Option<&str>) {
        // A request has one operation.
        let _ = self.named.set(Named {
            operation: operation.to_owned(),
            bucket: bucket.unwrap_or_default().to_owned(),
            key: key.unwrap_or_default().to_owned(),
        });
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    /// How much of the body has come.
    pub(crate) fn received_so_far(&self) -> u64 {
        self.received.load(Relaxed)
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn answer<B>(&self, response: &Response<B>) {
        self.status.store(response.status().as_u16(), Relaxed);
        let is_xml = response.headers().get(header::CONTENT_TYPE);
        let is_xml = is_xml.is_some_and(|value| value == "application/xml");
        let is_kept_alive = is_xml && response.headers().contains_key(header::TRANSFER_ENCODING);
        self.is_kept_alive.store(is_kept_alive, Relaxed);
    }

    /// Whether the answer is a document of XML that begins before it is known how it ends.
    pub(crate) fn is_kept_alive(&self) -> bool {
        self.is_kept_alive.load(Relaxed)
    }

    pub(crate) fn fail(&self) {
        self.has_failed.store(true, Relaxed);
    }
}

/// Writes the line, once the request and its answer are over.
impl Drop for Entry {
    fn drop(&mut self) {
        let none = Named::default();
        let Named { operation, bucket, key } = self.named.get().unwrap_or(&none);
        let ended = Ended {
            operation,
            status: self.status.load(Relaxed),
            received: self.received.load(Relaxed),
            sent: self.sent.load(Relaxed),
            took: self.begun.elapsed(),
        };
        telemetry::ended(&ended);
        let Ended { status, received, sent, took, .. } = ended;
        tracing::info!(
            method = %self.method,
            %bucket,
            %operation,
            status,
            received,
            sent,
            cut = self.has_failed.load(Relaxed),
            ms = took.as_millis() as u64,
            access_key = %key,
            request_id = %self.id,
            "request"
        );
    }
}
