//! Jira: issues, which a label connects with their alerts.

use delfin_plugin_api::{
    Failure, Outcome,
    http::{ClientSettings, Response},
    log,
    setting::Mistakes,
    text::excerpt,
};
use serde_json::{Value, json};

use super::IncidentService;
use crate::{
    client::ServiceConnection,
    config::ServiceSettings,
    encode::{Incident, non_empty},
    state::OpenIssues,
};

const CREDENTIALS: &str =
    "write an email address, with an API token as `password`, or `bearer_token` or `oauth2`";
const PROJECT: &str = "write the key of a project, such as `STOR`";

/// The longest summary of an issue, in characters.
const MAX_SUMMARY: usize = 255;

/// The longest text of a description; Jira accepts 32,767 characters.
const MAX_TEXT: usize = 30_000;

#[derive(Debug)]
pub(crate) struct Jira {
    project: String,
    issue_type: String,
    /// The name of the transition of an issue whose alert has ended.
    resolve_transition: Option<String>,
    open: OpenIssues,
}

impl IncidentService for Jira {
    const NAME: &'static str = "Jira";
    const URL: &'static str =
        "write the address of the site, such as `https://example.atlassian.net`";
    const MAX_ALERTS: u64 = 40;
    const WORKERS: usize = 2;
    const PER_MINUTE: u32 = 300;
    const HAS_KEYS: bool = false;

    fn read(
        settings: &mut ServiceSettings,
        http: &ClientSettings,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        if !http.is_authorized() {
            mistakes.missing("username", CREDENTIALS);
        }
        let project = settings.take("project");
        if project.is_none() {
            mistakes.missing("project", PROJECT);
        }
        let read = |value: &Value| {
            let key = value.as_str()?;
            let is_key = key.starts_with(|c: char| c.is_ascii_alphabetic())
                && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            is_key.then(|| key.to_owned())
        };
        let project = mistakes.read("project", project, read, PROJECT);
        let issue_type = mistakes.text("issue_type", settings.take("issue_type"));
        let transition = settings.take("resolve_transition");
        Some(Self {
            project: project?,
            issue_type: issue_type.unwrap_or_else(|| "Task".to_owned()),
            resolve_transition: mistakes.text("resolve_transition", transition),
            open: OpenIssues::default(),
        })
    }

    /// The project, which the user must be able to see.
    fn health(&self, connection: &ServiceConnection<'_>) -> Outcome {
        let response = connection.get(&format!("/rest/api/2/project/{}", self.project))?;
        if json_of(connection, &response)?["key"].is_string() {
            return Ok(());
        }
        Err(connection.foreign::<Self>(&response))
    }

    fn report(&self, connection: &ServiceConnection<'_>, incidents: &[Incident<'_>]) -> Outcome {
        // One alert, because each has requests of its own.
        incidents
            .iter()
            .try_for_each(|incident| self.report_one(connection, incident))
    }
}

impl Jira {
    fn report_one(&self, connection: &ServiceConnection<'_>, incident: &Incident<'_>) -> Outcome {
        let issue = match self.open.get(&incident.key) {
            Some(issue) => Some(issue),
            None => self.search(connection, &incident.key)?,
        };
        match issue {
            Some(issue) if self.comment(connection, incident, &issue)? => {
                if incident.has_ended {
                    self.resolve(connection, &issue)?;
                    self.open.remove(&incident.key);
                } else {
                    self.open.add(&incident.key, &issue);
                }
                Ok(())
            }
            _ if incident.has_ended => Ok(()),
            Some(_) | None => self.create(connection, incident),
        }
    }

    /// The open issue of an alert.
    fn search(
        &self,
        connection: &ServiceConnection<'_>,
        key: &str,
    ) -> Result<Option<String>, Failure> {
        let query = format!(
            "project = \"{}\" AND labels = \"{}\" AND statusCategory != Done ORDER BY created DESC",
            self.project,
            label(key)
        );
        let body = json!({ "jql": query, "fields": ["status"], "maxResults": 1 });
        let mut response = connection.post("/rest/api/2/search/jql", &body, true)?;
        if matches!(response.status(), 404 | 405) {
            // Jira Data Center.
            response = connection.post("/rest/api/2/search", &body, true)?;
        }
        if response.status() == 400 {
            // The query has nothing of the alert but its key.
            return Err(Failure::misconfigured(connection.message(&response)));
        }
        let answer = json_of(connection, &response)?;
        let Some(issues) = answer["issues"].as_array() else {
            return Err(connection.foreign::<Self>(&response));
        };
        let key = issues.first().and_then(|issue| issue["key"].as_str());
        Ok(key.map(str::to_owned))
    }

    fn create(&self, connection: &ServiceConnection<'_>, incident: &Incident<'_>) -> Outcome {
        let fields = json!({
            "project": { "key": self.project },
            "issuetype": { "name": self.issue_type },
            "summary": incident.summary.chars().take(MAX_SUMMARY).collect::<String>(),
            "description": text(incident),
            "labels": ["delfin-host", label(&incident.key)],
        });
        let body = json!({ "fields": fields });
        let response = connection.post("/rest/api/2/issue", &body, false)?;
        if response.status() == 400 && !is_about_texts(&response) {
            return Err(Failure::misconfigured(format!(
                "{} (check `project` and `issue_type`, and which fields an issue needs)",
                connection.message(&response)
            )));
        }
        let answer = json_of(connection, &response)?;
        let Some(issue) = answer["key"].as_str() else {
            return Err(connection.foreign::<Self>(&response));
        };
        self.open.add(&incident.key, issue);
        Ok(())
    }

    /// Adds a comment. Returns whether the issue exists.
    fn comment(
        &self,
        connection: &ServiceConnection<'_>,
        incident: &Incident<'_>,
        issue: &str,
    ) -> Result<bool, Failure> {
        let mark = if incident.has_ended {
            "Ended"
        } else {
            "Reported again"
        };
        let body = json!({ "body": format!("{mark}.\n{}", text(incident)) });
        let path = format!("/rest/api/2/issue/{issue}/comment");
        let response = connection.post(&path, &body, false)?;
        if response.status() == 404 {
            self.open.remove(&incident.key);
            return Ok(false);
        }
        json_of(connection, &response).map(|_| true)
    }

    /// Makes the transition of the settings, if the workflow has it for the issue.
    fn resolve(&self, connection: &ServiceConnection<'_>, issue: &str) -> Outcome {
        let Some(wanted) = &self.resolve_transition else {
            return Ok(());
        };
        let path = format!("/rest/api/2/issue/{issue}/transitions");
        let response = connection.get(&path)?;
        let answer = json_of(connection, &response)?;
        let transitions = answer["transitions"].as_array();
        let has_name = |transition: &&Value| {
            let name = transition["name"].as_str();
            name.is_some_and(|name| name.eq_ignore_ascii_case(wanted))
        };
        let found = transitions.and_then(|list| list.iter().find(has_name));
        let Some(transition) = found else {
            log::warn!(issue = issue, transition = wanted; "the issue has no such transition");
            return Ok(());
        };
        let body = json!({ "transition": { "id": transition["id"] } });
        let response = connection.post(&path, &body, true)?;
        match response.status() {
            200..=299 => Ok(()),
            // Somebody has moved the issue meanwhile, or a field is required.
            400 | 409 => {
                let reason = connection.message(&response);
                log::warn!(issue = issue, error = reason; "the issue was not resolved");
                Ok(())
            }
            _ => Err(connection.failure(&response)),
        }
    }
}

/// The body of a response with a status of success.
fn json_of(connection: &ServiceConnection<'_>, response: &Response) -> Result<Value, Failure> {
    if !response.is_success() {
        return Err(connection.failure(response));
    }
    match response.json::<Value>() {
        Some(body) if body.is_object() => Ok(body),
        Some(_) | None => Err(connection.foreign::<Jira>(response)),
    }
}

/// Whether Jira refuses the texts of the alert, and not the settings.
fn is_about_texts(response: &Response) -> bool {
    let body: Value = response.json().unwrap_or_default();
    let errors = &body["errors"];
    ["summary", "description"]
        .iter()
        .any(|field| errors.get(field).is_some())
}

fn label(key: &str) -> String {
    format!("delfin-{key}")
}

/// The alert, as a text that Jira shows as it is: without links, mentions and macros.
fn text(incident: &Incident<'_>) -> String {
    let alert = &incident.alert;
    let lines = [
        ("Storage", Some(incident.storage().to_owned())),
        ("Location", non_empty(alert.location()).map(str::to_owned)),
        ("Severity", non_empty(alert.severity()).map(str::to_owned)),
        ("Time", incident.time()),
        (
            "Description",
            non_empty(alert.description()).map(str::to_owned),
        ),
        (
            "Advice",
            non_empty(alert.recovery_advice()).map(str::to_owned),
        ),
    ];
    let mut text = incident.summary.clone();
    for (name, value) in lines {
        if let Some(value) = value {
            text += &format!("\n{name}: {value}");
        }
    }
    as_block(&text)
}

/// A block that shows a text as it is. The text cannot end it.
fn as_block(text: &str) -> String {
    let lines = text.lines().map(|line| excerpt(line, MAX_TEXT));
    let text = lines.collect::<Vec<_>>().join("\n");
    let text: String = text.chars().take(MAX_TEXT).collect();
    let text = text.replace("{noformat", "{ noformat");
    format!("{{noformat}}\n{text}\n{{noformat}}")
}
