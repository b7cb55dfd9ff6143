mod bindings;
mod checksum;
mod error;
mod grants;
mod key;
mod limits;
pub use error::{Error, ErrorKind, LoadError, Result};
pub use grants::Grants;
pub use limits::Limits;
