//! The worker against a real Ansible, installed once into the target folder, with real processes.

#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod cut;
#[cfg(test)]
mod differences;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod fenced;
#[cfg(test)]
mod injection;
#[cfg(test)]
mod installing;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod linted;
#[cfg(test)]
mod overhead;
#[cfg(test)]
mod remote;
#[cfg(test)]
mod room;
#[cfg(test)]
mod running;
