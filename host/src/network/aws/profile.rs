//! The shared files of Amazon's tools: `~/.aws/credentials` and `~/.aws/config`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ini::{Ini, ParseOption};

use super::Lack;
use super::outside::variable;
use crate::grants::Keys;
use crate::text::foreign_name;

/// Settings of a profile that get credentials in a way which is not offered here.
const UNSUPPORTED: [&str; 6] = [
    "source_profile",
    "credential_source",
    "sso_session",
    "sso_start_url",
    "login_session",
    "role_arn",
];

/// One profile. Where both files have a setting, that of `credentials` counts.
pub(super) struct Profile {
    name: String,
    files: [PathBuf; 2],
    /// Whether one of the files has it.
    exists: bool,
    /// By their names in lower case.
    settings: BTreeMap<String, String>,
}

/// How a profile gets credentials.
pub(super) enum Way {
    Keys(Keys),
    Program(String),
    WebIdentity { role: String, token_file: PathBuf, session: Option<String> },
}

impl Profile {
    /// The profile of this name, or else that of `AWS_PROFILE`, or else the default one.
    pub(super) fn read(name: Option<&str>) -> Result<Self, Lack> {
        let named = name.map(str::to_owned).or_else(|| variable("AWS_PROFILE"));
        let is_named = named.is_some();
        let name = named.unwrap_or_else(|| "default".into());
        let config = path("AWS_CONFIG_FILE", "config");
        let credentials = path("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let mut profile = Self {
            name: name.clone(),
            files: [credentials.clone(), config.clone()],
            exists: false,
            settings: BTreeMap::new(),
        };
        if name == "default" {
            profile.add(&config, |section| section == "default")?;
        }
        profile.add(&config, |section| profile_of(section) == Some(&name))?;
        profile.add(&credentials, |section| section == name)?;
        if is_named && !profile.exists {
            let text = format!("found no credentials of AWS: there is no {}", profile.shown());
            return Err(Lack::lasting(text));
        }
        Ok(profile)
    }

    fn add(&mut self, file: &Path, is_meant: impl Fn(&str) -> bool) -> Result<(), Lack> {
        let wrong = |why: &dyn std::fmt::Display| {
            let file = file.display();
            Lack::lasting(format!("cannot read credentials of AWS from `{file}`: {why}"))
        };
        let bytes = match crate::file::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(wrong(&error)),
        };
        let text = String::from_utf8(bytes).map_err(|_| wrong(&"it is not UTF-8"))?;
        // A value is all of the line, as for Amazon's tools.
        let plain =
            ParseOption { enabled_quote: false, enabled_escape: false, ..ParseOption::default() };
        // Editors of Windows write the mark, which is no part of the first line.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let ini = Ini::load_from_str_opt(text, plain).map_err(|error| {
            // The parser's own text may hold a part of a secret.
            wrong(&format!("line {} is wrong", error.line))
        })?;
        let meant = ini.iter().filter(|(section, _)| section.is_some_and(&is_meant));
        for (_, properties) in meant {
            self.exists = true;
            let settings = properties.iter().filter(|(_, value)| !value.trim().is_empty());
            self.settings.extend(
                settings.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())),
            );
        }
        Ok(())
    }

    /// `None` if it has only other settings.
    pub(super) fn way(&self) -> Result<Option<Way>, Lack> {
        if let (Some(role), Some(file)) =
            (self.get("role_arn"), self.get("web_identity_token_file"))
        {
            let (role, token_file) = (role.to_owned(), at_home(file));
            let session = self.get("role_session_name").map(str::to_owned);
            return Ok(Some(Way::WebIdentity { role, token_file, session }));
        }
        if let Some(unsupported) = UNSUPPORTED.into_iter().find(|name| self.get(name).is_some()) {
            let (profile, name) = (self.shown(), foreign_name(&self.name));
            return Err(Lack::lasting(format!(
                "the {profile} has `{unsupported}`, which is not supported; another profile with \
                 `credential_process = aws configure export-credentials --profile {name} --format \
                 process` can use it"
            )));
        }
        let (id, secret) = (self.get("aws_access_key_id"), self.get("aws_secret_access_key"));
        match (id, secret) {
            (Some(id), Some(secret)) => {
                let mut keys = Keys::new(id.to_owned(), secret.to_owned());
                if let Some(token) = self.get("aws_session_token") {
                    keys.set_token(token.to_owned());
                }
                Ok(Some(Way::Keys(keys)))
            }
            (Some(_), None) => Err(self.lacks("aws_secret_access_key")),
            (None, Some(_)) => Err(self.lacks("aws_access_key_id")),
            (None, None) => {
                Ok(self.get("credential_process").map(|line| Way::Program(line.to_owned())))
            }
        }
    }

    /// Its name, and where it is.
    pub(super) fn shown(&self) -> String {
        let [credentials, config] = &self.files;
        let name = foreign_name(&self.name);
        format!("profile `{name}` of `{}` or `{}`", credentials.display(), config.display())
    }

    fn lacks(&self, setting: &str) -> Lack {
        Lack::lasting(format!("the {} has no `{setting}`", self.shown()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }
}

/// The region that Amazon's tools would use; `None` if none is named.
pub(crate) fn region(profile: Option<&str>) -> Option<String> {
    let of_process = || variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    // What is wrong with the files is said when the credentials are looked for.
    let of_profile = || Some(Profile::read(profile).ok()?.get("region")?.to_owned());
    of_process().or_else(of_profile)
}

/// The profile of a section of `config`. Its name may be in quotes, as one with blanks has to be for
/// Amazon's tools.
fn profile_of(section: &str) -> Option<&str> {
    let name = section.strip_prefix("profile")?;
    let name = name.strip_prefix([' ', '\t'])?.trim();
    let quoted = |quote| name.strip_prefix(quote)?.strip_suffix(quote);
    Some(quoted('"').or_else(|| quoted('\'')).unwrap_or(name))
}

fn path(variable_name: &str, file: &str) -> PathBuf {
    let named = variable(variable_name);
    at_home(&named.unwrap_or_else(|| format!("~/.aws/{file}")))
}

fn at_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.into(),
    }
}
