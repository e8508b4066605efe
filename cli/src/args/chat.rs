//! The arguments of `chiffon chat`.

use clap::Args;

/// A room in the terminal: ask, approve, see what others ask there
#[derive(Debug, Clone, Args)]
#[command(
    before_help = "Examples:
  chiffon chat
  chiffon chat --room kitchen
  chiffon chat --project lab < requests.txt",
    after_help = "Each line is a request of the room and is followed to its end. /help names the commands.
Without a terminal on standard input the lines are read to their end and nobody is asked. The exit
code is that of the worst request then; from the worst: 7 unknown, 1 failed, 8 too late,
5 conflict, 4 denied, 3 not found, 2 not permitted, 6 waits for a person, 0 done."
)]
pub struct Chat {
    /// The room [default: chat: and your name]
    #[arg(long, value_name = "ROOM")]
    pub room: Option<String>,
    /// The group that its requests belong to
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
}
