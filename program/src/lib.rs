//! What every program of the fleet shares: the table of settings and the environment, and, for those that stay, signals, the
//! log, what a service manager is told, the health file, and waiting for what is not there yet. What a program does is left
//! to it, whom it speaks to as well: RabbitMQ is named here only where a program asks for it (feature `amqp`).

mod env;
mod exit;
mod health;
mod home;
mod log;
mod notify;
pub mod settings;
mod stop;

pub use env::Env;
pub use exit::{NOT_PERMITTED, ended_by, healthcheck};
pub use health::{Health, Healthy, Told};
pub use home::{locate, private_folder, read_private};
pub use log::begin as begin_log;
pub use notify::{Notifier, watchdog_period};
pub use stop::Stop;
