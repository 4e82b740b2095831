// Show whether everything is saved, and what to do if not; show the progress.
import { announce, boot, createElement, t } from "./i18n.js";

let maxAnswered = 0; // the server's figures are some seconds old; the bar never goes back
const SAVING_DELAY = 400; // milliseconds before "Saving…" is shown

/** Show the outbox's state, and update it on every change. */
export function showStatus(outbox) {
  const indicator = document.getElementById("status");
  const trouble = document.getElementById("trouble");
  let timer = null;

  function draw() {
    const { state, waiting, refusals } = outbox;
    indicator.dataset.state = refusals.length ? "refused" : state;
    const text = state === "waiting" || state === "signed_out" ? t("status.waiting", { n: waiting }) : t(`status.${state}`);
    indicator.querySelector("span").textContent = text;
    indicator.title = text;
    const lines = [];
    if (refusals.length) {
      const dismiss = createElement("button", "button small", t("status.failed.dismiss"), { type: "button" });
      dismiss.addEventListener("click", () => outbox.dismissRefusals());
      lines.push([`${t("status.failed", { n: refusals.length })}: ${[...new Set(refusals.map((reason) => reason || t("refused.other")))].join(" ")}`, dismiss]);
    }
    if (state === "waiting" && waiting) {
      const again = createElement("button", "button small", t("status.retry"), { type: "button" });
      again.addEventListener("click", () => outbox.flush());
      lines.push([`${t("status.waiting", { n: waiting })}. ${t("status.waiting.hint")}`, again]);
    }
    if (state === "signed_out") {
      const link = createElement("a", "button small", t("status.sign_in"), { href: `/sign-in?next=${encodeURIComponent(location.pathname)}` });
      lines.push([t("status.signed_out"), link]);
    }
    if (!outbox.isPersistent) lines.push([t("status.memory")]);
    const paragraphs = lines.map(([text, action]) => {
      const line = createElement("p");
      line.append(createElement("span", "", text), ...(action ? [action] : []));
      return line;
    });
    if (trouble.textContent !== paragraphs.map((line) => line.textContent).join("")) trouble.replaceChildren(...paragraphs);
    trouble.hidden = !paragraphs.length;
  }

  outbox.addEventListener("change", ({ detail }) => {
    clearTimeout(timer);
    if (detail.before !== "waiting" && outbox.state === "waiting") announce(t("say.offline"));
    if (detail.before === "waiting" && outbox.state === "saved") announce(t("say.online"));
    timer = setTimeout(draw, outbox.state === "saving" ? SAVING_DELAY : 0);
  });
  draw();
}

/** Show the figures beside the picture, and the bar above it. */
export function showProgress(queue, pace, unreported) {
  const { response } = queue;
  if (!response) return;
  const { work, qualification } = response;
  const qualifying = response.state === "qualification";
  const picturesPerQuestion = boot.kind === "ranking" ? Math.max(2, queue.current?.pictures.length ?? 2) : 1;
  maxAnswered = Math.max(maxAnswered, work.answered + (qualifying ? 0 : unreported.judgements));
  const answered = Math.min(maxAnswered, work.asked);
  const left = Math.max(0, response.left_today - unreported.pictures);
  const share = Math.ceil((work.asked - answered) / Math.max(1, work.annotators));
  const minutes = pace.estimateMinutes(Math.min(share, left) / picturesPerQuestion);
  const lines = [
    ...(qualifying ? [t("progress.qualification", { answered: Math.min(qualification.of, qualification.answered + unreported.questions), of: qualification.of })] : []),
    t("progress.all", { answered, asked: work.asked }),
    t("progress.today", { n: boot.daily_limit - left }),
    t("progress.left_today", { n: left }),
    minutes === null ? t("progress.time.unknown") : t("progress.time", { n: minutes }),
  ];
  document.getElementById("figures").replaceChildren(...lines.map((line) => createElement("li", "", line)));
  const bar = document.getElementById("bar");
  bar.max = Math.max(1, qualifying ? qualification.of : work.asked);
  bar.value = qualifying ? qualification.answered + unreported.questions : answered;
}
