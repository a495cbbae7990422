//! Countersign's agent: the program on a device.
//!
//! It keeps the device's keys, its verified copy of the membership log and the chain's records; it asks to join, opens prompts,
//! approves and denies. The relay only forwards: everything that it hands over is verified here before it is stored, acted on or shown.
//!
//! Modules stand lowest first; each uses only what stands above it. The way of a join request: `session` receives it,
//! `agent` opens the prompt and decides, `local` offers that to every caller, `terminal` and `commands` are callers.

mod clock;
mod limits;
mod text;
mod told;
mod service;
mod error;
mod exit;
mod output;
mod qr;
mod home;
mod keyfile;
mod store;
mod dial;
mod relay_client;
mod core;
mod agent;
mod whole_log;
mod joiner;
mod recovery;
mod session;
mod local;
mod door;
mod hook;
mod doctor;
mod terminal;
mod commands;
#[cfg(feature = "simulation")]
pub mod simulation;

pub use commands::main;
