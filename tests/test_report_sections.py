"""The overview's sections: which figure stands in which column, with its uncertainty beside it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import write_json
from audio_reasoning.metrics.arms_results import ArmsSummary
from audio_reasoning.metrics.errors.analysis import analysis_of
from audio_reasoning.metrics.errors.params import Errors
from audio_reasoning.metrics.errors.results import ErrorAnalysis
from audio_reasoning.metrics.inputs import Sample
from audio_reasoning.metrics.judge_results import JudgeSummary
from audio_reasoning.metrics.optimize_results import Optimization
from audio_reasoning.metrics.results import Judged, write_result
from audio_reasoning.metrics.training_results import ModelRow, PassRateRow, TrainingSummary
from audio_reasoning.render.report.arms import arms_section
from audio_reasoning.render.report.comparisons import count_verdicts
from audio_reasoning.render.report.failures import errors_section, judge_section
from audio_reasoning.render.report.optimized import BANK_NOTE, SELECTED_ON, optimized_section
from audio_reasoning.render.report.page import Header, render
from audio_reasoning.render.report.prompts import prompts_section, sub_categories_section
from audio_reasoning.render.report.training import models_section, pass_rates_section
from audio_reasoning.render.report.votes import votes_section
from audio_reasoning.render.table import Table
from stages.vote import vote_metrics
from tests.report_project import HOSTILE, filled, question, response, search, versus, write_comparison

METRICS = Path("metrics")
VARIANTS = ["baseline", "expert_analyst"]
RANGE = r"[\d.]+ \([\d.]+–[\d.]+\)"  # a figure and its interval


def texts(table: Table) -> list[dict[str, str]]:
    """The rows of a table, each cell under its column; of columns of one name, the last."""
    return [{name.text: cell.text for name, cell in zip(table.header, row, strict=True)} for row in table.body]


def mistaken() -> ErrorAnalysis:
    """The analysis of two runs on 12 questions, of which six ask how many: the wrong are 3, 4, 5, 10 and 11."""
    questions = [question(i, choices=("one", "two", "three"), answer=i % 3) for i in range(6)]
    questions += [question(i) for i in range(6, 12)]
    wrong = (3, 4, 5, 10, 11)
    baseline = [response(q, i not in wrong) for i, q in enumerate(questions)]
    baseline[0] = replace(baseline[0], thinking="Actually, it rings.")
    none = {"answer": None, "extraction": ""}
    loop = 3 * "Wait, it rings and rings again. "
    baseline[5] = response(questions[5], status="truncated", thinking=loop, **none)
    baseline[10:] = [response(q, status="error", thinking="", **none) for q in questions[10:]]
    runs = {"baseline": baseline, "expert": [response(q, i not in wrong) for i, q in enumerate(questions)]}
    samples = {name: {r.question_id: [Sample(r, "")] for r in found} for name, found in runs.items()}
    return analysis_of({q.id: q for q in questions}, samples, Errors(loop_ngram=6, loop_repeats=3), [])


class TestSections:
    """Figures that all differ, so that none can stand in another's column."""

    def test_verdicts_are_counted_apart(self):
        verdicts = ["better", "worse", "not distinguishable", "not distinguishable", "exploratory", "no verdict"]
        rows = [Judged(**filled(Judged, {"verdict": verdict})) for verdict in verdicts]
        assert count_verdicts(rows, "baseline") == (
            "Of 4 prompts tested against baseline, 1 is better, 1 worse, and 2 cannot be told apart from it. "
            "Exploratory, so without a verdict: 1. No verdict, since a run has no answer at all: 1."
        )
        assert "xploratory" not in count_verdicts(rows[:3], "baseline")

    def test_prompts_show_both_accuracies_and_who_gave_no_answer_with_intervals(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_comparison(tmp_path)
        section = prompts_section(METRICS / "summary.json", METRICS / "scores/base", VARIANTS)
        assert texts(section.tables[0])[1]["accuracy"] == "50.0 (20.0–80.0)"
        told = {"prompt": "expert_analyst", "official accuracy": "50.0 (21.0–79.0)", "no answer": "25.0 (8.9–53.2)"}
        assert texts(section.parts[0].tables[0])[1] == told

    @pytest.mark.parametrize("pair", [("baseline", "expert_analyst"), ("expert_analyst", "baseline")])
    def test_a_contrast_of_two_prompts_stands_once_whichever_way_it_is_declared(self, tmp_path, monkeypatch, pair):
        monkeypatch.chdir(tmp_path)
        write_comparison(tmp_path, [versus(*pair), versus("expert_analyst", "expert_analyst@vote")])
        _, others = prompts_section(METRICS / "summary.json", METRICS / "scores/base", VARIANTS).tables
        assert [(row["run"], row["against"]) for row in texts(others)] == [("expert_analyst@vote", "expert_analyst")]

    def test_changes_in_sub_categories_are_counted_where_there_are_questions(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_comparison(tmp_path, [versus("baseline", "expert_analyst")])
        section = sub_categories_section(METRICS / "compare.json", METRICS / "summary.json")
        assert section.lead == "Of 2 differences in single sub-categories, 0 rise and 1 fall significantly."
        cells = texts(section.figures[0].table)[0]
        assert cells == {
            "sub-category (questions)": "All questions (12)",
            "baseline": "50.0 (20.0–80.0)",
            "expert_analyst": "50.0 (20.0–80.0)",
        }

    def test_iterations_show_the_verdicts_that_were_written(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        row = {"prompt": "baseline", "rise": ["Music Theory"], "fall": [], **versus("base", "iter1")}
        row |= {"p_holm": 0.01, "low": 0.02, "difference": 0.03, "high": 0.04}  # better, by the rule on figures alone
        accuracy = {"model": "iter1", "prompt": "baseline", "by": "all", "name": "all", "n": 12}
        accuracy |= {"acc": 0.5, "low": 0.2, "high": 0.8}
        write_json(Path("metrics/training/compare.json"), filled(list[ModelRow], [accuracy]))
        gate = {"model": "iter1", "from": "base", "accepted": True, "scale": 0.5, "reason": "dev rises"}
        write_json(
            Path("metrics/training/gates/iter1.json"), {**gate, "dev_before": 0.5, "dev_after": 0.6, "dev": {"n": 100}}
        )
        summary = {"leaves": ["iter1"], "preset": "rest_em", "versus_base": [row], "gate": [gate], "notes": []}
        summary = filled(TrainingSummary, summary)
        write_json(Path("metrics/training/summary.json"), summary)
        section = models_section(METRICS / "training")
        assert texts(section.tables[0])[0]["verdict"] == "not distinguishable: this test can see 40.0 points"
        gates = {"dev before": "50.0 (40.4–59.6)", "dev after": "60.0 (50.2–69.1)", "gate": "accepted at scale 0.5"}
        assert gates.items() <= texts(section.tables[1])[0].items()
        assert section.lead.endswith(": iter1 +3.0 (+2.0 to +4.0) under baseline, not distinguishable.")
        refused = {"stage": "training_check", "reasons": ["it is deaf"], "ways_out": ["other clips"]}
        gate |= {"accepted": False, "scale": None, "reason": "it is deaf", "refused": refused}
        write_json(
            Path("metrics/training/gates/iter1.json"), {**gate, "dev_before": None, "dev_after": None, "dev": None}
        )
        [shown] = texts(models_section(METRICS / "training").tables[1])
        told = "training_check: it is deaf; its model is that of base; ways out: other clips"
        assert {"gate": "refused", "dev before": "–", "reason": told}.items() <= shown.items()
        write_json(Path("metrics/training/summary.json"), {**summary, "versus_base": [{**row, "verdict": None}]})
        with pytest.raises(UserError, match=r"versus_base\[0\].verdict must be"):
            models_section(METRICS / "training")

    def test_problems_to_learn_from_are_those_that_are_sometimes_solved(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        rates = [(0, "too_hard", 5), (0.25, "challenging", 3), (0.5, "learning_zone", 4), (1, "mastered", 8)]
        rows = [{"pass_rate": rate, "category": category, "problems": n} for rate, category, n in rates]
        rows = [{"model": "iter1", "sampler": "base", **row} for row in rows]
        write_json(Path("metrics/training/pass_rates.json"), filled(list[PassRateRow], rows))
        section = pass_rates_section(METRICS / "training/pass_rates.json")
        assert section.lead.endswith(": 7 of 20 in iter1.")
        assert texts(section.figures[0].table)[0]["learning zone"] == "4"

    def test_optimised_prompts_tell_selected_from_held_out_from_test(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_comparison(tmp_path)
        summary = json.loads(Path("metrics/summary.json").read_text())
        judged = versus("baseline", "expert_analyst", verdict="worse", p_holm=0.02, verdict_text="worse")
        write_json(Path("metrics/summary.json"), {**summary, "versus_baseline": [filled(Judged, judged)]})
        searches = {name: Optimization(**search(name)) for name in ("expert_analyst", "later")}
        searches["later"] = Optimization(**search("later", chosen=0, proposer="a model"))
        section = optimized_section(METRICS / "optimize", searches, METRICS / "summary.json", METRICS / "scores/base")
        assert section.lead.endswith(
            "held out of the search: expert_analyst +20.0 (+5.0 to +35.0); later is its start again."
        )
        selected, held_out, test, *_, not_asked = texts(section.tables[0])
        assert (selected["questions"], selected["result"]) == (SELECTED_ON, "75.0 (35.0–65.0)")
        assert (selected["Δ"], selected["verdict"]) == ("", "") and "optimistic" in SELECTED_ON
        told = {"n": "50", "start": "40.0 (27.6–53.8)", "result": "60.0 (46.2–72.4)", "p": "0.0123"}
        assert {**told, "verdict": "exploratory"}.items() <= held_out.items()
        assert {"n": "12", "result": "50.0 (20.0–80.0)", "p": "0.0200", "verdict": "worse"}.items() <= test.items()
        assert {"n": "–", "result": "–", "verdict": "not asked"}.items() <= not_asked.items()
        assert section.tables[0].body[2][0].link and not section.tables[0].body[-1][0].link
        assert texts(section.tables[1])[0]["refused"] == "2 repeated"
        taken = {"answers": "1,234", "tokens read": "56,789", "proposer’s calls": "7", "cost": "–"}
        assert taken.items() <= texts(section.tables[2])[0].items()
        assert [row["best so far"] for row in texts(section.figures[0].table)][:3] == ["50.0", "50.0", "75.0"]
        changes = [(line.change, line.text.split()[0]) for line in section.parts[0].diffs[0].lines]
        assert changes == [("kept", "Listen."), ("removed", "Think."), ("added", "Count.")]
        assert BANK_NOTE in section.notes
        later = optimized_section(METRICS, {"later": searches["later"]}, METRICS / "summary.json", METRICS / "scores")
        assert BANK_NOTE not in later.notes and {line.change for line in later.parts[0].diffs[0].lines} == {"kept"}
        page = render(Header("mini", "", [], []), [section])
        assert "<ins>Count. &lt;script&gt;" in page and "<del>Think.</del>" in page and HOSTILE not in page
        assert optimized_section(METRICS, {}, METRICS, METRICS).command == "dvc repro optimize_prompt"

    def test_arms_show_accuracies_with_intervals(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        overall = {"variant": "baseline", "difference": 0.3, "low": 0.2, "high": 0.4, "p": 0.0123, "detectable": 0.15}
        nothing = dict.fromkeys(("difference", "low", "high", "p", "q"))
        part = {"variant": "baseline", "name": "Music Theory", "n": 40}
        fates = {"truncated": 0.25, "no_answer": 0.0, "error": 0.75}
        none = dict.fromkeys(fates, 0.0)
        silence = {"acc": 0.3, **none, "error": 0.04}
        figures = {"n": 100, "acc": 0.6, "chance": 0.25, **none, "silence": silence, "text_only": {"acc": 0.0, **fates}}
        permuted = {"acc": 0.5, **none, "consistency": 0.9, "consistency_low": 0.83, "consistency_high": 0.94}
        permuted |= {"unanswered": 0.02, "place_p": 0.031, "place_statistic": 9.5, "place_freedom": 3}
        permuted |= {"place_picks": 90, "place_left_out": 0}
        arms = {
            "false_discovery_rate": 0.1,
            "variants": {"baseline": {**figures, "permuted": permuted}},
            "comparisons": [
                {**overall, "arm": "silence"},
                {**overall, "arm": "permuted"},
            ],
            "unanswered": [{"variant": "baseline", "arm": "text_only"}],
            "sub_categories": [
                {**part, **overall, "arm": "silence", "difference": 0.25, "q": 0.01},
                {**part, **nothing, "arm": "text_only"},
            ],
        }
        write_json(Path("metrics/arms.json"), filled(ArmsSummary, arms))
        section = arms_section(METRICS / "arms.json")
        silence, _, text_only = texts(section.tables[0])
        assert silence == {
            "run": "baseline@silence",
            "with the clip": "60.0 (50.2–69.1)",
            "in this arm": "30.0 (21.9–39.6)",
            "gain": "+30.0",
            "95 %": "+20.0 to +40.0",
            "interval": "",
            "exploratory p": "0.0123",
            "can see": "15.0",
            "no answer": "4.0 (1.6–9.8)",
        }
        assert [text_only[key] for key in ("gain", "95 %", "exploratory p", "can see")] == ["–"] * 4
        assert text_only["no answer"] == "100.0 (96.3–100.0)"
        assert texts(section.tables[1]) == [
            {
                "prompt": "baseline",
                "same choice in all orders": "90.0 (83.0–94.0)",
                "an order without answer": "2.0 (0.6–7.0)",
                "exploratory p of places": "0.0310",
            }
        ]
        assert texts(section.figures[0].table) == [
            {"sub-category (questions)": "Music Theory (40)", "silence": "+25.0 (+20.0 to +40.0)*"}
        ]
        assert section.lead == "Points that hearing the clip brings baseline: +30.0 (+20.0 to +40.0) over silence."

    def test_judged_runs_show_scores_under_the_judges_name(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        run = {"run": "baseline", "n": 100, "score": 0.4, "low": 0.31, "high": 0.49, "acc_strict": 0.6}
        run |= {"trace_quality": 0.7, "trace_quality_low": 0.61, "trace_quality_high": 0.79}
        run |= {"score_per_run": 0.35, "score_per_run_low": 0.27, "score_per_run_high": 0.44}
        run |= {"failed": 2, "ratings": 300}
        versus = {"b": "iter1/baseline", "difference": 0.1, "low": -0.02, "high": 0.22, "p_holm": 0.045, "p": 0.01}
        judged = {"judge": "evidence", "note": "a fixed rule", "comparisons": [versus]}
        runs = [run, {**run, "run": "iter1/baseline", "trace_quality": None}]
        write_json(Path("metrics/judge.json"), filled(JudgeSummary, {**judged, "runs": runs}))
        section = judge_section(METRICS / "judge.json")
        first, second = texts(section.tables[0])
        assert second == {
            "run": "iter1/baseline",
            "score": "40.0 (31.0–49.0)",
            "Δ baseline": "+10.0",
            "95 %": "-2.0 to +22.0",
            "p Holm": "0.0450",
            "accuracy": "60.0 (50.2–69.1)",
            "right answers alone": "–",
            "trimmed per run": "35.0 (27.0–44.0)",
            "ratings that failed": "2 of 300",
        }
        assert first["right answers alone"] == "70.0 (61.0–79.0)" and first["Δ baseline"] == ""
        assert "“evidence”" in section.tables[0].caption and section.notes == ["Judge “evidence”: a fixed rule."]
        assert section.lead.startswith("Scores in percent by the judge “evidence”: baseline 40.0 (31.0–49.0), iter1")

    def test_mistakes_are_told_with_their_uncertainty(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_result(Path("metrics/errors.json"), mistaken())
        section = errors_section(METRICS / "errors.json", Path("reports/errors.md"), "baseline")
        assert section.lead.startswith(
            "No prompt gets 5 of 12 questions right, 41.7 (19.3–68.0) %; every prompt gets 7"
        )
        failures, thinking, counting, hardest = section.tables
        assert texts(failures)[0] == {
            "prompt": "baseline",
            "accuracy": "58.3 (31.9–80.7)",
            "by chance": "29.2",
            "worst sub-category (questions)": "Imagination (4)",
            "accuracy there": "50.0 (15.0–85.0)",
            "cut off": "8.3 (1.5–35.4)",
            "no answer": "0.0 (0.0–24.2)",
            "failed": "16.7 (4.7–44.8)",
        }
        assert texts(thinking)[0] == {
            "prompt": "baseline",
            "words": "3.1",
            "“Wait”": "81.08",
            "“Actually”": "27.03",
            "“Hmm”": "0.00",
            "looping": "8.3 (1.5–35.4)",
            "accuracy of looping": "0.0 (0.0–79.3)",
            "of others": "63.6 (35.4–84.8)",
            "looping and cut off": "100.0",
        }
        assert texts(counting)[0] == {
            "prompt": "baseline",
            "questions": "6",
            "right": "50.0 (18.8–81.2)",
            "too few": "0.0 (0.0–39.0)",
            "too many": "33.3 (9.7–70.0)",
            "off by, on average": "+0.40",
        }
        assert len(hardest.rows) == 5

    def test_one_run_is_shown_in_detail_and_the_others_are_folded(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_result(Path("metrics/errors.json"), mistaken())
        first, second = errors_section(METRICS / "errors.json", Path("reports/errors.md"), "expert").parts
        assert (first.title, first.folded) == ("expert in detail", False)
        assert (second.title, second.folded) == ("baseline in detail", True)
        confusion, rules, invalid = second.tables
        assert list(confusion.columns) == ["right", "1", "2", "3", "no answer"]
        assert texts(confusion)[1] == {"right": "2", "1": "·", "2": "1", "3": "1", "no answer": "·"}
        assert [cell.tone for cell in confusion.rows[1]] == ["", "heat0", "heat2 hit", "heat2", "heat0"]
        assert texts(rules)[0] == {
            "rule": "verbatim",
            "responses": "9",
            "in percent": "75.0",
            "accuracy (95 %)": "77.8 (45.3–93.7)",
        }
        assert texts(invalid) == [
            {"status": "cut off", "responses": "1", "in percent": "8.3", "rules": "none 1"},
            {"status": "failed", "responses": "2", "in percent": "16.7", "rules": "none 2"},
        ]
        groups = {row["group"]: row for row in texts(second.figures[0].table)}
        assert groups["Number of choices: 4"] == {
            "group": "Number of choices: 4",
            "n": "6",
            "accuracy (95 %)": "66.7 (30.0–90.3)",
            "by chance": "25.0",
        }
        assert not [name for name in groups if name.startswith("Language")]  # there is only one

    def test_shows_the_votes_of_samples(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        questions = {q.id: q for q in (question(index) for index in range(20))}
        samples = {n: [response(q, (i + s) % 3 > 0, s) for s in range(4)] for i, (n, q) in enumerate(questions.items())}
        write_result(Path("metrics/votes/base/baseline.json"), vote_metrics("baseline", questions, samples))
        section = votes_section(METRICS / "votes/base", ["baseline"])
        assert len(section.figures[0].table.rows) == 4
        told = texts(section.tables[0])[0]
        assert told["samples"] == "4" and told["pass@n"].startswith("100.0 (")
        assert all(re.fullmatch(RANGE, told[key]) for key in ("mean", "vote", "pass@n"))
        assert all(re.fullmatch(RANGE, text) for text in list(texts(section.tables[1])[0].values())[1:])
        assert "exploratory p" in told and [note for note in section.notes if "Ties" in note]
        assert re.match(
            r"Points that a majority vote brings .*: [+-][\d.]+ \(.* to .*\) to baseline with 4", section.lead
        )
        assert all(figure.svg.startswith("<svg") for figure in section.figures)
