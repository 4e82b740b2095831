// Whether everything is saved, said in the bar, and what to do where it is not.
import { boot, make, say, t } from "./words.js";

let most = 0; // the server's figures are some seconds old: the bar never goes back
const CALM = 400; // milliseconds before "Saving…" is worth showing

/** Show the outbox's state from now on. */
export function watch(outbox) {
  const pill = document.getElementById("status");
  const trouble = document.getElementById("trouble");
  let later = null;

  function draw() {
    const { state, waiting, refusals } = outbox;
    pill.dataset.state = refusals.length ? "refused" : state;
    const text = state === "waiting" || state === "signed_out" ? t("status.waiting", { n: waiting }) : t(`status.${state}`);
    pill.querySelector("span").textContent = text;
    pill.title = text;
    const lines = [];
    if (refusals.length) {
      const dismiss = make("button", "button small", t("status.failed.dismiss"), { type: "button" });
      dismiss.addEventListener("click", () => outbox.dismiss());
      lines.push([`${t("status.failed", { n: refusals.length })}: ${[...new Set(refusals.map((reason) => reason || t("refused.other")))].join(" ")}`, dismiss]);
    }
    if (state === "waiting" && waiting) {
      const again = make("button", "button small", t("status.retry"), { type: "button" });
      again.addEventListener("click", () => outbox.flush());
      lines.push([`${t("status.waiting", { n: waiting })}. ${t("status.waiting.hint")}`, again]);
    }
    if (state === "signed_out") {
      const link = make("a", "button small", t("status.sign_in"), { href: `/sign-in?next=${encodeURIComponent(location.pathname)}` });
      lines.push([t("status.signed_out"), link]);
    }
    if (!outbox.lasting) lines.push([t("status.memory")]);
    const wanted = lines.map(([words, action]) => {
      const line = make("p");
      line.append(make("span", "", words), ...(action ? [action] : []));
      return line;
    });
    if (trouble.textContent !== wanted.map((line) => line.textContent).join("")) trouble.replaceChildren(...wanted);
    trouble.hidden = !wanted.length;
  }

  outbox.addEventListener("change", ({ detail }) => {
    clearTimeout(later);
    if (detail.before !== "waiting" && outbox.state === "waiting") say(t("say.offline"));
    if (detail.before === "waiting" && outbox.state === "saved") say(t("say.online"));
    later = setTimeout(draw, outbox.state === "saving" ? CALM : 0);
  });
  draw();
}

/** The figures beside the picture, and the bar above it. */
export function drawProgress(supply, pace, mine) {
  const { told } = supply;
  if (!told) return;
  const { work, qualification } = told;
  const qualifying = told.state === "qualification";
  const each = boot.kind === "ranking" ? Math.max(2, supply.current?.pictures.length ?? 2) : 1;
  most = Math.max(most, work.answered + (qualifying ? 0 : mine.judgements));
  const answered = Math.min(most, work.asked);
  const left = Math.max(0, told.left_today - mine.pictures);
  const share = Math.ceil((work.asked - answered) / Math.max(1, work.annotators));
  const minutes = pace.minutesFor(Math.min(share, left) / each);
  const lines = [
    ...(qualifying ? [t("progress.qualification", { answered: Math.min(qualification.of, qualification.answered + mine.questions), of: qualification.of })] : []),
    t("progress.all", { answered, asked: work.asked }),
    t("progress.today", { n: boot.daily_limit - left }),
    t("progress.left_today", { n: left }),
    minutes === null ? t("progress.time.unknown") : t("progress.time", { n: minutes }),
  ];
  document.getElementById("figures").replaceChildren(...lines.map((line) => make("li", "", line)));
  const bar = document.getElementById("bar");
  bar.max = Math.max(1, qualifying ? qualification.of : work.asked);
  bar.value = qualifying ? qualification.answered + mine.questions : answered;
}
