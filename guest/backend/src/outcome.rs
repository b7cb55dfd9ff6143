//! The end of a read: how it went, which its caller hears after the bytes.

use wit_bindgen::FutureWriter;

use crate::{Error, Result};

/// What a read ends with where the backend says nothing; for `wit_future::new`.
///
/// # Errors
///
/// Always: it may have been cut.
pub fn dropped() -> Result<()> {
    Err(Error::Other("the read was dropped".into()))
}

/// Says how a read `ended`, when it has, after the call that began it has returned. Whoever wants to
/// know may have gone meanwhile.
pub fn report(to: FutureWriter<Result<()>>, ended: impl Future<Output = Result<()>> + 'static) {
    wit_bindgen::spawn_local(async move {
        let ended = ended.await;
        let _ = to.write(ended).await;
    });
}
