//! Where each value comes from: flag > environment > file > default.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::options::{OPTIONS, Opt};
use super::value::{Raw, nearest};
use super::{Config, ProxyProtocol};

/// What the variables begin with: `COUNTERSIGN_RELAY_SECTION__KEY`.
const PREFIX: &str = "COUNTERSIGN_RELAY_";

/// Something that an operator wrote and that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {what}")]
pub struct ConfigError {
    /// Where it stands.
    pub origin: Origin,
    /// What is wrong with it.
    pub what: String,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of a file.
    File(PathBuf, usize),
    /// A variable.
    Environment(String),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One option's value and origin, for `config show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The option.
    pub key: &'static str,
    /// Its value as it would stand in the file.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// A configuration with the origin of each value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Every option, in the order of the template.
    pub settings: Vec<Setting>,
}

/// Puts the layers together.
///
/// # Errors
///
/// [`ConfigError`] for the first value or name that cannot be used.
pub fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: &[(&'static str, &'static str, String)],
) -> Result<Loaded, ConfigError> {
    let mut values: Vec<(&'static Opt, Raw, Origin)> = Vec::new();
    if let Some(path) = file {
        read_file(path, &mut values)?;
    }
    for (name, value) in environment.filter(|(name, _)| name.starts_with(PREFIX)) {
        let key = name.trim_start_matches(PREFIX).to_lowercase().replace("__", ".");
        let origin = Origin::Environment(name);
        values.push((find(&key, &origin)?, Raw::Text(value), origin));
    }
    for (flag, key, value) in flags {
        let origin = Origin::Flag(flag);
        values.push((find(key, &origin)?, Raw::Text(value.clone()), origin));
    }
    assemble(values)
}

/// Later values win.
fn assemble(values: Vec<(&'static Opt, Raw, Origin)>) -> Result<Loaded, ConfigError> {
    let mut config = Config::default();
    let default = |opt: &Opt| Setting { key: opt.key, value: opt.default.to_owned(), origin: Origin::Default };
    let mut settings: Vec<Setting> = OPTIONS.iter().map(default).collect();
    for (opt, raw, origin) in values {
        (opt.set)(&mut config, &raw)
            .map_err(|what| ConfigError { origin: origin.clone(), what: format!("{}: {what}", opt.key) })?;
        if let Some(setting) = settings.iter_mut().find(|setting| setting.key == opt.key) {
            (setting.value, setting.origin) = (raw.shown(), origin);
        }
    }
    let origin_of = |key| settings.iter().find(|s| s.key == key).map_or(Origin::Default, |s| s.origin.clone());
    if config.tls.certificate.as_os_str().is_empty() != config.tls.key.as_os_str().is_empty() {
        let origin = if config.tls.are_set() { origin_of("tls.certificate") } else { origin_of("tls.key") };
        return Err(ConfigError { origin, what: "tls.certificate and tls.key are set together, or not at all".into() });
    }
    if config.proxy_protocol == ProxyProtocol::Required && config.trusted_proxies.is_empty() {
        let what = "proxy_protocol is believed only from trusted_proxies, and there are none".into();
        return Err(ConfigError { origin: origin_of("proxy_protocol"), what });
    }
    Ok(Loaded { config, settings })
}

fn find(key: &str, origin: &Origin) -> Result<&'static Opt, ConfigError> {
    OPTIONS.iter().find(|opt| opt.key == key).ok_or_else(|| {
        let nearest = nearest(key, OPTIONS.iter().map(|opt| opt.key));
        ConfigError { origin: origin.clone(), what: format!("unknown option {key:?}; the nearest is {nearest:?}") }
    })
}

fn read_file(path: &Path, values: &mut Vec<(&'static Opt, Raw, Origin)>) -> Result<(), ConfigError> {
    let fail = |line, what: String| ConfigError { origin: Origin::File(path.to_owned(), line), what };
    let text = std::fs::read_to_string(path).map_err(|error| fail(0, format!("cannot read it: {error}")))?;
    let line_of = |offset: usize| text.get(..offset).unwrap_or_default().matches('\n').count() + 1;
    let table = DeTable::parse(&text)
        .map_err(|error| fail(error.span().map_or(1, |span| line_of(span.start)), error.message().to_owned()))?;
    collect("", table.get_ref(), &mut |key, at, value| {
        let origin = Origin::File(path.to_owned(), line_of(at));
        let opt = find(&key, &origin)?;
        let raw = raw(value).ok_or_else(|| {
            fail(line_of(at), format!("{key}: expected text, a number, true, false or a list of texts"))
        })?;
        values.push((opt, raw, origin));
        Ok(())
    })
}

/// Walks a table, sections included.
fn collect(
    section: &str,
    table: &DeTable<'_>,
    take: &mut impl FnMut(String, usize, &DeValue<'_>) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    for (name, value) in table.iter() {
        let key = if section.is_empty() { name.get_ref().to_string() } else { format!("{section}.{}", name.get_ref()) };
        match value.get_ref() {
            DeValue::Table(inner) if OPTIONS.iter().any(|opt| opt.key.starts_with(&format!("{key}."))) => {
                collect(&key, inner, take)?;
            }
            other => take(key, name.span().start, other)?,
        }
    }
    Ok(())
}

fn raw(value: &DeValue<'_>) -> Option<Raw> {
    let text = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(switch) => Some(switch.to_string()),
        _ => None,
    };
    match value {
        DeValue::Array(parts) => {
            parts.iter().map(|part: &Spanned<DeValue<'_>>| text(part.get_ref())).collect::<Option<_>>().map(Raw::List)
        }
        other => text(other).map(Raw::Text),
    }
}

/// Every option, commented out at its default.
#[must_use]
pub fn template() -> String {
    let mut text = String::from("# Configuration of countersign-relay. Each option is shown at its default.\n");
    let mut section = "";
    for opt in OPTIONS {
        let (own, name) = opt.key.split_once('.').unwrap_or(("", opt.key));
        if own != section {
            section = own;
            text.push_str(&format!("\n[{section}]\n"));
        }
        text.push_str(&format!("\n# {}\n# {name} = {}\n", opt.meaning, opt.default));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(
        text: &str,
        environment: &[(&str, &str)],
        flags: &[(&'static str, &'static str, String)],
    ) -> Result<Loaded, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.toml");
        std::fs::write(&path, text).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(Some(&path), environment, flags)
            .map_err(|error| error.to_string().replace(&folder.path().display().to_string(), ""))
    }

    #[test]
    fn the_template_uncommented_is_the_default() {
        let uncommented = template()
            .replace("# ", "")
            .lines()
            .filter(|line| line.contains(" = ") || line.starts_with('['))
            .fold(String::new(), |text, line| text + line + "\n");
        let loaded = of(&uncommented, &[], &[]).unwrap();
        assert_eq!(loaded.config, Config::default());
        assert!(loaded.settings.iter().all(|setting| matches!(setting.origin, Origin::File(..))));
        assert_eq!(of(&template(), &[], &[]).unwrap().settings[0].origin, Origin::Default);
    }

    #[test]
    fn flag_beats_environment_beats_file_beats_default() {
        let flag = ("--listen", "listen", "127.0.0.3:3".to_owned());
        let file = "listen = \"127.0.0.1:1\"\n[log]\nformat = \"json\"\n";
        let environment = [
            ("COUNTERSIGN_RELAY_LISTEN", "127.0.0.2:2"),
            ("COUNTERSIGN_RELAY_LIMITS__CONNECTIONS", "7"),
            ("PATH", "x"),
        ];
        let loaded = of(file, &environment, std::slice::from_ref(&flag)).unwrap();
        assert_eq!(loaded.config.listen.port(), 3);
        assert_eq!(loaded.config.connections.total, 7);
        assert_eq!(loaded.config.log.format, super::super::LogFormat::Json);
        assert_eq!(of(file, &environment, &[]).unwrap().config.listen.port(), 2);
    }

    #[test]
    fn an_unknown_key_is_named_with_file_line_and_nearest() {
        let wrong = of("listen = \"127.0.0.1:1\"\n\n[timeouts]\nhandshak = \"1s\"\n", &[], &[]).unwrap_err();
        assert_eq!(wrong, "/relay.toml:4: unknown option \"timeouts.handshak\"; the nearest is \"timeouts.handshake\"");
        let wrong = of("", &[("COUNTERSIGN_RELAY_LISTN", "x")], &[]).unwrap_err();
        assert_eq!(wrong, "environment COUNTERSIGN_RELAY_LISTN: unknown option \"listn\"; the nearest is \"listen\"");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_line() {
        let wrong = of("\n[timeouts]\nping = \"soon\"\n", &[], &[]).unwrap_err();
        assert_eq!(wrong, "/relay.toml:3: timeouts.ping: expected a duration like \"30s\" or \"15m\", not \"soon\"");
        assert!(of("listen = \n", &[], &[]).unwrap_err().starts_with("/relay.toml:1: "));
        assert!(
            of("[tls]\nkey = \"k.pem\"\n", &[], &[]).unwrap_err().starts_with("/relay.toml:2: tls.certificate and")
        );
        assert_eq!(
            of("proxy_protocol = true\n", &[], &[]).unwrap_err(),
            "/relay.toml:1: proxy_protocol is believed only from trusted_proxies, and there are none"
        );
        assert!(of("proxy_protocol = true\ntrusted_proxies = [\"10.0.0.1\"]\n", &[], &[]).is_ok());
        assert!(of("public_origins = [\"https://relay.example/\"]", &[], &[]).unwrap_err().contains("relay.example"));
    }
}
