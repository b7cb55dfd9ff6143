//! What the environment can change: two switches, each on unless its variable says otherwise.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crate::bindings::settings::{Problem, Setting};
use crate::wasi::get_environment;
use artifact_store_backend::{Error, Result};
use once_cell::race::OnceBox;

static SYNC: Switch = Switch::new("ARTIFACT_STORE_SYNC");
static LOOK: Switch = Switch::new("ARTIFACT_STORE_LOOK");

const NEITHER: &str = "it is neither `on` nor `off`";

/// Whether ok means durable: always, unless the user asked for less. To be called before
/// anything is changed, since a setting that makes no sense is an error.
pub fn is_durable() -> Result<bool> {
    SYNC.is_on()
}

/// Whether this backend looks at what it opens, so that it waits for no pipe and follows no link,
/// and again at what it has read, which may have been cut: always, unless the host says that it
/// does so itself.
pub fn looks() -> Result<bool> {
    LOOK.is_on()
}

/// Both, as a host shows them to people.
pub fn described() -> Vec<Setting> {
    let of = |switch: &Switch, description: &str| Setting {
        name: switch.name.to_string(),
        description: description.to_string(),
        required: false,
        secret: false,
        default: Some("on".to_string()),
    };
    vec![
        of(
            &SYNC,
            "`on`: a change survives a crash of the machine; `off`: it may be lost or damaged, and \
             changes are faster",
        ),
        of(
            &LOOK,
            "`off`: the host opens only files and directories and follows no link, so that this \
             backend need not check",
        ),
    ]
}

/// What is wrong with either.
pub fn problems() -> core::result::Result<(), Vec<Problem>> {
    let wrong = [&SYNC, &LOOK].into_iter().filter(|switch| switch.is_on().is_err());
    let problem =
        |switch: &Switch| Problem { name: switch.name.to_string(), reason: NEITHER.to_string() };
    let problems: Vec<_> = wrong.map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

struct Switch {
    name: &'static str,
    /// What the variable was when it was asked for first.
    value: OnceBox<Option<String>>,
}

impl Switch {
    const fn new(name: &'static str) -> Self {
        Self { name, value: OnceBox::new() }
    }

    fn is_on(&self) -> Result<bool> {
        let Self { name, value } = self;
        let value = value.get_or_init(|| {
            let found = get_environment().into_iter().find(|(found, _)| found == name);
            Box::new(found.map(|(_, value)| value))
        });
        match value.as_deref() {
            None | Some("on") => Ok(true),
            Some("off") => Ok(false),
            Some(_) => Err(Error::Other(format!("the variable {name}: {NEITHER}"))),
        }
    }
}
