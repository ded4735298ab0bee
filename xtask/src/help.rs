//! The help of `cargo xtask`: the verbs in groups, with the times they usually take.

use clap::Command;

/// A verb with its time on two cores, once the dependencies are built.
type Verb = (&'static str, &'static str);

const GROUPS: [(&str, &[Verb]); 5] = [
    ("Run", &[("dev", "15 s to the first event"), ("setup", "1 min")]),
    (
        "Check",
        &[
            ("test", "15 min"),
            ("tidy", "5 s"),
            ("fuzz", "1 min a target"),
            ("chaos", "as long as requested"),
            ("cluster-test", "10 min after builds of 20 min"),
        ],
    ),
    ("Measure", &[("bench", "1 min after a release build of 8 min")]),
    ("Build", &[("image", "8 min")]),
    ("Generate", &[("codegen", "5 s")]),
];

/// The command with this help.
pub(crate) fn grouped(command: Command) -> Command {
    let verbs = groups(&command);
    command
        .help_template(format!("{{about}}\n\n{{usage-heading}} {{usage}}\n\n{verbs}Options:\n{{options}}\n"))
}

fn groups(command: &Command) -> String {
    let mut text = String::new();
    for (group, verbs) in GROUPS {
        text += &format!("{group}:\n");
        for (name, time) in verbs {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            text += &format!("  {name:<14}{} [{time}]\n", about.map(ToString::to_string).unwrap_or_default());
        }
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::Cli;

    #[test]
    fn every_verb_is_in_one_group() {
        let command = Cli::command();
        let mut verbs: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        let mut grouped: Vec<&str> =
            GROUPS.iter().flat_map(|(_, verbs)| *verbs).map(|(name, _)| *name).collect();
        verbs.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, verbs);
    }

    #[test]
    fn the_help_has_every_verb_with_what_it_does() {
        let mut command = grouped(Cli::command());
        let help = command.render_help().to_string();
        for verb in Cli::command().get_subcommands() {
            let line = format!("  {:<14}{} [", verb.get_name(), verb.get_about().unwrap());
            assert!(help.contains(&line), "{line}\n{help}");
        }
    }
}
