//! The metrics of the server, as `docs/operating.md` lists them.

use std::time::Duration;

use metrics::{
    Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

const REQUESTS: &str = "artifact_store_server_requests_total";
const DURATION: &str = "artifact_store_server_request_duration_seconds";
const RECEIVED: &str = "artifact_store_server_received_bytes_total";
const SENT: &str = "artifact_store_server_sent_bytes_total";
const CONNECTIONS: &str = "artifact_store_server_connections_active";
const HANDSHAKES: &str = "artifact_store_server_failed_handshakes_total";
const CERTIFICATE: &str = "artifact_store_server_last_certificate_reload_successful";

/// Describes the metrics to the recorder that is installed now.
pub(crate) fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "Requests that ended, by operation and status");
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "How long requests took, from the end of their head to the end of their answer"
    );
    describe_counter!(RECEIVED, Unit::Bytes, "Bytes of the bodies of requests");
    describe_counter!(SENT, Unit::Bytes, "Bytes of the bodies of answers");
    describe_gauge!(CONNECTIONS, Unit::Count, "Connections that are open, including handshakes");
    describe_counter!(HANDSHAKES, Unit::Count, "Handshakes of TLS that failed or took too long");
    describe_gauge!(
        CERTIFICATE,
        Unit::Count,
        "Whether the certificate is the one that its files have: 1 or 0"
    );
}

/// A request that has ended.
pub(crate) struct Ended<'a> {
    /// Empty if it was refused before its signature was known to be right.
    pub(crate) operation: &'a str,
    /// 0 if there was no answer.
    pub(crate) status: u16,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) took: Duration,
}

pub(crate) fn ended(request: &Ended<'_>) {
    let operation = match request.operation {
        "" => "unknown",
        operation => operation,
    };
    let operation = || operation.to_owned();
    let status = request.status.to_string();
    counter!(REQUESTS, "operation" => operation(), "status" => status).increment(1);
    histogram!(DURATION, "operation" => operation()).record(request.took.as_secs_f64());
    counter!(RECEIVED, "operation" => operation()).increment(request.received);
    counter!(SENT, "operation" => operation()).increment(request.sent);
}

/// Counts a connection as open until this is dropped.
pub(crate) struct Open(Gauge);

impl Open {
    pub(crate) fn new() -> Self {
        let open = gauge!(CONNECTIONS);
        open.increment(1);
        Self(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

pub(crate) fn handshake_failed() {
    counter!(HANDSHAKES).increment(1);
}

/// The certificate is the one that its files have, or is not.
pub(crate) fn certificate(is_current: bool) {
    gauge!(CERTIFICATE).set(if is_current { 1.0 } else { 0.0 });
}
