//! `bus.*`: where the broker is. Speaking to it is left to the bus.

use std::{fmt, path::PathBuf};

use chiffon_common::Problem;

use super::{Sources, contradicts, path};

/// The broker of a fleet whose parts are programs of their own.
#[derive(Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its address, with the login, and perhaps a password.
    pub url: String,
    /// The authorities that its certificate may be from.
    pub ca_file: Option<PathBuf>,
    /// Where the password is, if not in the address.
    pub password_file: Option<PathBuf>,
}

impl fmt::Debug for Broker {
    /// Without the address: a password may be part of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").finish_non_exhaustive()
    }
}

impl Broker {
    /// The broker, where one is set.
    ///
    /// # Errors
    /// 5802 for a value that is not permitted, 5830 for a file without an address.
    pub fn of(sources: &Sources) -> Result<Option<Self>, Problem> {
        let url = sources.parsed("bus.url", |text| {
            let is_address = text.starts_with("amqp://") || text.starts_with("amqps://");
            (text.is_empty() || is_address).then(|| text.to_owned())
        })?;
        let ca_file = sources.parsed("bus.ca_file", path)?;
        let password_file = sources.parsed("bus.password_file", path)?;
        if !url.is_empty() {
            return Ok(Some(Self {
                url,
                ca_file,
                password_file,
            }));
        }
        let lonely = [
            ("bus.ca_file", &ca_file),
            ("bus.password_file", &password_file),
        ];
        match lonely.into_iter().find(|(_, file)| file.is_some()) {
            None => Ok(None),
            Some((key, _)) => Err(contradicts(
                format!("{key} is set, and bus.url is not."),
                &format!("Set bus.url to the address of a RabbitMQ, or take {key} away."),
            )),
        }
    }
}

#[cfg(feature = "amqp")]
impl Broker {
    /// How it is spoken to, under this name in its lists of connections.
    ///
    /// # Errors
    /// 5802 where the address is none, or a file cannot be used.
    pub fn options(&self, name: &str) -> Result<chiffon_bus::AmqpOptions, Problem> {
        let ca_file = self.ca_file.as_deref();
        let options = chiffon_bus::AmqpOptions::new(&self.url, ca_file).map_err(|error| {
            let todo = "Correct bus.url or bus.ca_file.";
            super::invalid(
                format!("The broker of bus.url cannot be used: {error}."),
                todo,
            )
        })?;
        let options = options.named(name);
        let Some(file) = &self.password_file else {
            return Ok(options);
        };
        let password = crate::read_private(file).map_err(|why| {
            let shown = file.display();
            let todo = format!("Put the password there, for its owner alone: chmod 600 {shown}");
            super::invalid(
                format!("bus.password_file is {shown}, which cannot be used: {why}."),
                &todo,
            )
        })?;
        Ok(options.with_password(password.trim_end_matches(['\r', '\n'])))
    }
}
