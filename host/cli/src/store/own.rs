//! The user's own configuration, which is used where the command line and the environment say
//! nothing of a store.

use std::env;
use std::path::PathBuf;

use super::StoreArguments;

impl StoreArguments {
    /// The configuration that names the stores: the one that is given, or else the user's own if it
    /// exists.
    pub fn configuration_file(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| own_configuration().filter(|file| file.exists()))
    }
}

/// Where the user's own configuration is, or would be; none if the user has no directory for it.
pub fn own_configuration() -> Option<PathBuf> {
    // As the specification of these variables asks: what is not absolute counts as not set.
    let dir = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = dir("XDG_CONFIG_HOME").or_else(|| Some(dir("HOME")?.join(".config")))?;
    Some(folder.join("artifact-store").join("stores.toml"))
}
