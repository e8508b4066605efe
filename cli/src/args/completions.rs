//! The arguments of `chiffon completions`.

use clap::{Args, ValueEnum};

/// Print the script by which a shell completes commands, flags and ids
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  echo 'source <(chiffon completions bash)' >> ~/.bashrc
  echo 'source <(chiffon completions zsh)' >> ~/.zshrc
  echo 'chiffon completions fish | source' > ~/.config/fish/completions/chiffon.fish")]
pub struct Completions {
    /// The shell that reads it, at every start, so that it fits the program
    #[arg(value_enum)]
    pub shell: Shell,
}

/// A shell that can be completed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Elvish,
}

impl Shell {
    /// As the scripts know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
            Self::Elvish => "elvish",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::completion;

    #[test]
    fn there_is_a_script_for_every_shell() {
        for shell in Shell::value_variants() {
            let script = completion::script(shell.name(), None).unwrap();
            assert!(script.contains("COMPLETE"), "{shell:?}: {script}");
        }
    }
}
