/// The arguments. The key of a listing is its prefix.
pub struct Arguments {
    pub verb: Verb,
    pub key: String,
}

pub enum Verb {
    Put { create: bool, size: Option<u64> },
    Get { offset: u64, length: Option<u64> },
    Delete,
    List,
    Stat,
}

const USAGE: &str = "usage: put KEY [--create] [--size BYTES] | get KEY [--offset BYTES] \
     [--length BYTES] | delete KEY | list [PREFIX] | stat KEY";

impl Arguments {
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = arguments;
        let verb = arguments.next().ok_or(USAGE)?;
        let (mut keys, mut create) = (Vec::new(), false);
        let (mut size, mut offset, mut length) = (None, None, None);
        let mut options_end = false;
        while let Some(argument) = arguments.next() {
            let mut number = |name: &str| -> Result<Option<u64>, String> {
                let value = arguments.next().and_then(|value| value.parse().ok());
                value.map(Some).ok_or_else(|| format!("`{name}` takes a number of bytes"))
            };
            match (verb.as_str(), argument.as_str()) {
                _ if options_end => keys.push(argument),
                (_, "--") => options_end = true,
                ("put", "--create") => create = true,
                ("put", "--size") => size = number("--size")?,
                ("get", "--offset") => offset = number("--offset")?,
                ("get", "--length") => length = number("--length")?,
                (_, option) if option.starts_with('-') && option.len() > 1 => {
                    return Err(format!("`{verb}` has no option `{option}`; {USAGE}"));
                }
                _ => keys.push(argument),
            }
        }
        let verb = match verb.as_str() {
            "put" => Verb::Put { create, size },
            "get" => Verb::Get { offset: offset.unwrap_or(0), length },
            "delete" => Verb::Delete,
            "list" => Verb::List,
            "stat" => Verb::Stat,
            _ => return Err(USAGE.into()),
        };
        let key = match (keys.pop(), &verb) {
            (Some(key), _) if keys.is_empty() => key,
            (None, Verb::List) => String::new(),
            _ => return Err(USAGE.into()),
        };
        Ok(Self { verb, key })
    }
}
