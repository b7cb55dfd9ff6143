//! The end of a read: its outcome, which the caller gets after the bytes.

use wit_bindgen::FutureWriter;

use crate::{Error, Result};

/// The outcome of a read if the backend reports none; for `wit_future::new`.
///
/// # Errors
///
/// Always: the read may have been cut.
pub fn dropped() -> Result<()> {
    Err(Error::Other("the read was dropped".into()))
}

/// Reports how a read `ended`, once it has, after the call that began it has returned. The receiver
/// may be gone by then.
pub fn report(to: FutureWriter<Result<()>>, ended: impl Future<Output = Result<()>> + 'static) {
    wit_bindgen::spawn_local(async move {
        let ended = ended.await;
        let _ = to.write(ended).await;
    });
}
