//! Objectives as rules: multi-window, multi-burn-rate (Google SRE workbook, ch. 5).

use super::{Slo, Slos, SlosError};
use crate::alert::rules::RULES_MAX;
use crate::alert::yaml::FileProblem;
use crate::alert::{Annotations, Detect, Rule, RuleLabels, Rules};
use crate::config::Span;
use crate::detect::{ErrorBudgetBurnSpec, SlowBurnSpec};
use crate::model::{AlertName, Severity};

const RUNBOOK: &str = "alerts/runbooks/error-budget-burn.md";

impl Rules {
    /// The same, with two rules for each objective: burnt fast (14.4 times over 1 h and 5 min, 6 times over 6 h and
    /// 30 min), which is critical, and slowly (3 times over 1 d and 2 h, once over 3 d and 6 h), which is a ticket. A
    /// service with an objective of its own is left to it by the rules that watch every service.
    ///
    /// # Errors
    /// Objectives with the name of one in a rule file: their alerts could not be told apart. More rules than are taken.
    pub fn with_slos(mut self, slos: &Slos) -> Result<Self, SlosError> {
        let problems = self.against(slos);
        if !problems.is_empty() {
            return Err(SlosError(problems));
        }
        for service in slos.services() {
            self.rules.iter_mut().for_each(|rule| rule.detect.leave(service));
        }
        self.rules.extend(slos.slos.iter().flat_map(Slo::rules));
        Ok(self)
    }

    fn against(&self, slos: &Slos) -> Vec<FileProblem> {
        let named = |name: &str| self.rules.iter().any(|rule| rule.detect.objective() == Some(name));
        let twice = slos.slos.iter().filter(|slo| named(&slo.select.objective)).map(|slo| {
            let message = format!("a rule file has an objective `{}` (`select.objective`) too", slo.select.objective);
            slo.problem("metadata.name", message).hint("names tell objectives apart")
        });
        let room = RULES_MAX.saturating_sub(self.rules.len()) / 2;
        let beyond = slos.slos.get(room).map(|slo| {
            let message =
                format!("is one too many: at most {RULES_MAX} rules are taken in all, two for each objective");
            slo.problem("", message)
        });
        twice.chain(beyond).collect()
    }
}

impl Slo {
    fn rules(&self) -> [Rule; 2] {
        let (objective, select) = (self.target, Some(self.select.clone()));
        let fast = ErrorBudgetBurnSpec { objective, select: select.clone(), ..ErrorBudgetBurnSpec::default() };
        let slow = SlowBurnSpec { objective, select, ..SlowBurnSpec::default() };
        [
            Rule {
                r#for: Span::from_secs(60),
                keep_firing_for: Span::from_secs(300),
                ..self.rule(
                    Severity::Critical,
                    Detect::ErrorBudgetBurn(fast),
                    "its monthly error budget goes within days",
                )
            },
            Rule {
                r#for: Span::from_secs(600),
                keep_firing_for: Span::from_secs(3_600),
                ..self.rule(Severity::Warning, Detect::SlowBurn(slow), "more requests are bad than it allows, slowly")
            },
        ]
    }

    fn problem(&self, key: &str, message: String) -> FileProblem {
        FileProblem::new(&self.file, self.at, key, message)
    }

    fn rule(&self, severity: Severity, detect: Detect, what: &str) -> Rule {
        Rule {
            alert: AlertName::ErrorBudgetBurn,
            detect,
            r#for: Span::from_secs(0),
            keep_firing_for: Span::from_secs(0),
            labels: RuleLabels { severity },
            annotations: Annotations {
                summary: format!("{}: {what}", self.title),
                description: None,
                runbook_url: RUNBOOK.to_owned(),
            },
        }
    }
}
