//! The program `arbiter` end to end: started for real, killed in the middle, started again, and given what it must not
//! take. What each part does by itself is tested beside its code.

#[path = "program/authz.rs"]
mod authz;
#[path = "program/bad.rs"]
mod bad;
#[path = "program/crowd.rs"]
mod crowd;
#[path = "program/forged.rs"]
mod forged;
#[path = "program/held.rs"]
mod held;
#[path = "program/http.rs"]
mod http;
#[path = "program/lasting.rs"]
mod lasting;
#[path = "program/put_back.rs"]
mod put_back;
#[path = "program/rooms.rs"]
mod rooms;
#[path = "program/run.rs"]
mod run;
