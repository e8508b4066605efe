//! The event stream: what happened, numbered without holes by the store's sequencer, in document 001's names
//! and data shape. The stream tells what is committed and nothing else; who may read it is left to `http`.

mod hub;
mod naming;
mod wanted;

pub(crate) use hub::{Event, Hub};
pub(crate) use naming::events_of;
pub(crate) use wanted::Wanted;
