"""Batches: one bad file stops no other, and nothing that is done is done again."""

import csv
import json
import signal
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

import napari_xrf
from batch_work import measure, when_there
from napari_xrf.core.errors import InvalidInput, XrfError
from napari_xrf.io.own.cube_files import write_cube
from napari_xrf.scale.batch import BatchJob, do_task, run_batch
from napari_xrf.scale.executors import Cluster, SchedulerLost, WarmProcesses, WorkerDied
from napari_xrf.scale.inputs import listed_files
from napari_xrf.scale.manifest import NAME, Entry, fingerprint, read_manifest
from napari_xrf.scale.summary import SummaryRow, standing_out, summary_of, summary_table
from simulated_maps import simulate_map
from verbs import answer, run


class Here:
    """Runs calls at once, in this process."""

    def submit(self, fn, /, *args):
        future = Future()
        future.set_result(fn(*args))
        return future

    def shutdown(self, wait=True, *, cancel_futures=False):
        pass


def texts(folder, *contents):
    folder.mkdir()
    for number, text in enumerate(contents):
        (folder / f"{number}.msa").write_text(text)
    return sorted(folder.iterdir())


def batch_of(tmp_path, files, executor=lambda tasks: Here(), **options):
    return run_batch(BatchJob("measure", options, measure, tmp_path / "out"), files, executor)


def test_a_file_that_fails_and_one_that_kills_its_process_stop_no_other(tmp_path):
    files = texts(tmp_path / "in", "a", "die", "abc", "fail", "abcd")
    entries, _ = batch_of(tmp_path, files, lambda tasks: WarmProcesses(1))
    assert [entry.status for entry in entries] == ["done", "failed", "done", "failed", "done"]
    assert "killed" in entries[1].error
    assert "this one is damaged" in entries[3].error
    out = tmp_path / "out"
    assert (out / "2" / "size.txt").read_text() == "3"
    assert not (out / "1").exists()
    answered = json.loads((out / "4" / "result.json").read_text())
    assert answered == {"total_counts": 4, "file": str(out / "4" / "size.txt")}
    assert sorted(path.name for path in out.iterdir()) == ["0", "2", "4", NAME]


def test_a_second_call_does_only_what_is_missing_or_changed(tmp_path):
    files = texts(tmp_path / "in", "a", "ab", "fail", "abcd")
    batch_of(tmp_path, files)
    done_again = []

    class Watched(Here):
        def submit(self, fn, task, *rest):
            done_again.append(task.folder)
            return super().submit(fn, task, *rest)

    def again(**options):
        done_again.clear()
        return batch_of(tmp_path, files, lambda tasks: Watched(), **options)

    assert again()[1] == 3
    assert done_again == ["2"]
    files[0].touch()  # the same content
    files[2].write_text("mended")
    (tmp_path / "out" / "3" / "size.txt").unlink()
    entries, before = again()
    assert (before, done_again) == (2, ["2", "3"])
    assert all(entry.status == "done" for entry in entries)
    again(threshold=2)
    assert done_again == ["0", "1", "2", "3"]


def test_folders_of_others_stay_and_old_results_keep_their_name(tmp_path, monkeypatch):
    files = texts(tmp_path / "in", "a")
    mine = tmp_path / "out" / "0" / "thesis.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")
    assert batch_of(tmp_path, files)[0][0].folder == "0-2"
    assert mine.read_text() == "years of work"
    whole, replaced = Path.replace, tmp_path / "out" / "0-2"

    def failing(self, target):
        if Path(target) == replaced and not self.name.endswith("~old"):
            raise PermissionError(13, "Permission denied")
        return whole(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    files[0].write_text("abc")
    entry = do_task(Entry(str(files[0]), "0-2", "measure", "", "waiting"), measure, tmp_path / "out")
    assert "Permission denied" in entry.error
    assert (replaced / "size.txt").read_text() == "1"
    assert not list((tmp_path / "out").glob(".*"))


def test_a_manifest_that_was_cut_short_loses_that_line_only(tmp_path):
    files = texts(tmp_path / "in", "a", "ab")
    batch_of(tmp_path, files)
    path = tmp_path / "out" / NAME
    path.write_text(path.read_text()[:-20])
    assert len(read_manifest(tmp_path / "out")) == 1
    entries, before = batch_of(tmp_path, files)
    assert (before, len(entries), len(read_manifest(tmp_path / "out"))) == (1, 2, 2)


def test_a_folder_holds_one_verb(tmp_path):
    files = texts(tmp_path / "in", "a")
    batch_of(tmp_path, files)
    with pytest.raises(InvalidInput, match="holds a batch of measure"):
        run_batch(BatchJob("info", {}, measure, tmp_path / "out"), files, lambda tasks: Here())


def test_files_of_the_same_name_get_folders_of_their_own(tmp_path):
    files = [*texts(tmp_path / "one", "a"), *texts(tmp_path / "two", "ab")]
    entries, _ = batch_of(tmp_path, files)
    assert [entry.folder for entry in entries] == ["0", "0-2"]
    assert batch_of(tmp_path, files[::-1])[1] == 2


def test_processes_stay_warm_and_are_filled_anew():
    with WarmProcesses(1) as executor:
        first = executor.submit(sys.getswitchinterval)
        killed = executor.submit(signal.raise_signal, signal.SIGTERM)
        last = executor.submit(abs, -3)
        assert first.result() > 0
        assert isinstance(killed.exception(), WorkerDied)
        assert last.result() == 3


def test_what_a_batch_takes(tmp_path):
    texts(tmp_path / "in", "EMSA/MAS", "damaged")
    (tmp_path / "in" / "notes.txt").write_text("no spectrum")
    (tmp_path / "in" / "other.pdf").write_text("no spectrum")
    (tmp_path / "list.txt").write_text(f"# mine\n\n{tmp_path}/in/*1.msa\nin/0.msa\n")
    names = [path.name for path in listed_files([str(tmp_path / "in")])]
    assert names == ["0.msa", "1.msa"]
    assert [path.name for path in listed_files([f"@{tmp_path}/list.txt", str(tmp_path / "in")])] == [
        "1.msa",
        "0.msa",
    ]
    with pytest.raises(InvalidInput, match="no file fits"):
        listed_files([f"{tmp_path}/*.bcf"])


def test_a_map_of_many_files_is_one(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    head = b"{\nDataType = UnsignedShort ;\nDim_1 = 64 ;\nDim_2 = 4 ;\nMCA a = 0 ;\nMCA b = 0.01 ;\n}\n"
    for name in (
        "xia00_0001_0000_0000",
        "xia00_0001_0000_0001",
        "xia01_0001_0000_0000",
        "xiast_0001_0000_0000",
    ):
        (folder / f"map_{name}.edf").write_bytes(head + bytes(512))
    (folder / "rock.zspy" / "Experiments").mkdir(parents=True)
    (folder / "rock.zspy" / "Experiments" / "0").write_text("1")
    names = [path.name for path in listed_files([str(folder)])]
    assert names == ["map_xia00_0001_0000_0000.edf", "rock.zspy"]
    for name, part in zip(names, ("map_xia01_0001_0000_0000.edf", "rock.zspy/Experiments/0"), strict=True):
        before = fingerprint(folder / name)
        (folder / part).write_bytes(head + bytes(511) + b"1")
        assert fingerprint(folder / name) != before


def test_maps_stand_out_by_shares_not_by_counts(tmp_path):
    generator = np.random.default_rng(1)
    rows = [
        SummaryRow(f"{number}.h5", "", "net counts", {
            "Fe K": (factor * generator.normal(1e5, 2e3), 300.0 * factor),
            "Ca K": (factor * generator.normal(4e4, 1e3), 200.0 * factor),
            "Zn K": (factor * (2e4 if number == 7 else 100.0), 90.0 * factor),
        })
        for number, factor in enumerate((1, 1, 1, 3, 1, 1, 1, 1, 1, 1))
    ]  # fmt: skip
    found = standing_out(rows)
    assert [number for number, marks in enumerate(found) if marks] == [7]
    assert found[7]["Zn K"] > 5
    table = list(csv.DictReader(summary_table(rows, {"bad.h5": "is empty"}).splitlines()))
    assert table[7]["stands_out"].startswith("Zn K +")
    assert float(table[7]["Zn K_se"]) == 90
    assert table[-1]["error"] == "is empty"


def test_rows_of_quantities_are_regions():
    entry = {"element": "Fe", "weight_percent": 12.0, "standard_error": 0.5}
    rows = summary_of("a.h5", [{"region": "core", **entry}, {"region": "rim", **entry}])
    assert [row.region for row in rows] == ["core", "rim"]
    assert rows[0].values == {"Fe": (12.0, 0.5)}


def test_the_error_of_a_mineral_is_what_of_it_is_expected_to_be_something_else():
    known = {"name": "quartz", "pixels": 40, "area_percent": 40.0, "mean_confidence": 0.9}
    (row,) = summary_of("a.h5", {"classes": [known, {"name": "pyrite", "pixels": 0}]})
    assert row.values == {"quartz": (40.0, pytest.approx(4.0))}


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    for number in range(2):
        made = simulate_map((6, 8), 3000, np.random.default_rng(number))
        write_cube(folder / f"{number}.h5", made.cube)
    (folder / "damaged.h5").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    return folder


def test_the_verb_end_to_end(capsys, maps, tmp_path):
    recipe, out = tmp_path / "r.toml", tmp_path / "out"
    recipe.write_text('elements = ["Fe", "Ca"]\n[maps]\nmethod = "window"\n')
    code, text, err = run(capsys, "batch", "maps", maps, "-o", out, "--recipe", recipe, "--jobs", 1, "--json")
    assert code == 1
    data = json.loads(text)
    assert (data["done"], data["done_before"]) == (2, 0)
    assert [failure["file"] for failure in data["failed"]] == [str(maps / "damaged.h5")]
    assert "damaged.h5" in err
    rows = list(csv.DictReader((out / "summary.csv").read_text().splitlines()))
    assert float(rows[0]["Fe K"]) > 10 * float(rows[0]["Fe K_se"]) > 0
    assert (out / "1" / "maps.ome.tif").is_file()
    (maps / "damaged.h5").rename(tmp_path / "damaged.h5")
    again = answer(capsys, "batch", "maps", maps, "-o", out, "--recipe", recipe)
    assert (again["files"], again["done_before"]) == (2, 2)


def test_a_batch_from_python(maps, tmp_path):
    told = napari_xrf.batch("info", [maps / "0.h5", maps / "1.h5"], tmp_path / "out", jobs=1, memory="1GB")
    assert (told["done"], told["failed"]) == (2, [])
    assert napari_xrf.batch("info", maps / "0.h5", tmp_path / "out", memory="1GB")["done_before"] == 1
    with pytest.raises(InvalidInput, match="no option 'colour'"):
        napari_xrf.batch("info", maps, tmp_path / "out", colour="red")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["maps", "--option", "element=Fe"], "Did you mean elements"),
        (["maps", "--option", "elements=Xx"], "Xx"),
        (["predict"], "needs a model"),
        (["synthesize"], "there is no batch of"),
        (["maps", "--jobs", "0"], "--jobs"),
        (["maps", "--option", "output=elsewhere"], "no option 'output'"),
    ],
)
def test_options_are_checked_before_the_work(capsys, maps, tmp_path, words, told):
    code, _, err = run(capsys, "batch", words[0], maps, "-o", tmp_path / "out", *words[1:])
    assert code == 1
    assert told in err
    assert not (tmp_path / "out" / NAME).exists()


@pytest.mark.parametrize("processes", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_cluster_gives_the_same_bytes(maps, capsys, tmp_path, monkeypatch, processes):
    distributed, dask = pytest.importorskip("distributed"), pytest.importorskip("dask")
    words = ["batch", "maps", maps / "0.h5", "--option", "elements=Fe,Ca", "--option", "method=window"]
    answer(capsys, *words, "-o", tmp_path / "here", "--jobs", 1)
    options = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    # On a busy machine a worker may take minutes to import what it needs and to say so.
    monkeypatch.setattr("napari_xrf.scale.executors._PATIENCE_SECONDS", 600)
    patient = {f"distributed.comm.timeouts.{name}": "600s" for name in ("connect", "tcp")}
    with dask.config.set(patient), distributed.LocalCluster(processes=processes, **options) as cluster:
        answer(capsys, *words, "-o", tmp_path / "there", "--scheduler", cluster.scheduler_address)
    here, there = tmp_path / "here", tmp_path / "there"
    assert held(here / "0/maps.h5") == held(there / "0/maps.h5")
    for name in ("summary.csv", "0/maps.csv", "0/maps.h5", "0/maps.ome.tif"):
        assert (here / name).read_bytes() == (there / name).read_bytes(), name


def held(path):
    """What an HDF5 file holds: bytes tell that two differ, not in what."""
    found = {}
    with h5py.File(path) as file:

        def keep(name, item):
            found[name] = {key: np.asarray(value).tolist() for key, value in item.attrs.items()}
            if isinstance(item, h5py.Dataset):
                found[f"{name}[...]"] = np.asarray(item[()]).tolist()

        keep("/", file)
        file.visititems(keep)
    return found


def cluster_here(threads):
    """Return a cluster in this process, of one worker; skip where there is none."""
    distributed = pytest.importorskip("distributed")
    return distributed.LocalCluster(1, threads_per_worker=threads, processes=False, dashboard_address=None)


def test_a_cluster_without_workers_says_what_it_waits_for(maps, capsys, tmp_path):
    with cluster_here(threads=1) as cluster, ThreadPoolExecutor(1) as pool:
        cluster.scale(0)
        while cluster.scheduler.workers:
            time.sleep(0.05)
        address = cluster.scheduler_address
        words = ["batch", "maps", maps / "0.h5", "-o", tmp_path / "out", "--scheduler", address]
        batch = pool.submit(run, capsys, *words, "--option", "elements=Fe", "--option", "method=window")
        while not cluster.scheduler.tasks and not batch.done():
            time.sleep(0.05)
        cluster.scale(1)
        code, _, err = batch.result(120)
    assert code == 0
    assert f"start one with dask worker {address}" in err


def broken(executor):
    """Break an executor's connection to its scheduler, as a busy network does."""
    client = executor._client
    client.loop.add_callback(client.scheduler_comm.comm.abort)


def test_a_connection_that_breaks_loses_no_task(tmp_path):
    """The client connects again, but has forgotten what it asked for."""
    with cluster_here(threads=2) as cluster:
        executor = Cluster(cluster.scheduler_address)
        waiting = executor.submit(when_there, tmp_path / "word")
        done = executor.submit(abs, -3)
        assert done.result() == 3
        broken(executor)
        later = executor.submit(abs, -4)  # asked before it is connected again
        (tmp_path / "word").write_text("whole")
        assert (waiting.result(), later.result()) == ("whole", 4)
        executor.shutdown(cancel_futures=True)


def test_a_scheduler_that_is_lost_is_told_of_each_file(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_xrf.scale.executors._PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr("napari_xrf.scale.executors._TIMES", 1)
    with cluster_here(threads=1) as cluster:
        executor = Cluster(cluster.scheduler_address)
        lost = executor.submit(when_there, tmp_path / "word")
        broken(executor)
        assert isinstance(lost.exception(), SchedulerLost)
        (tmp_path / "word").write_text("too late")
        executor.shutdown(cancel_futures=True)


def test_a_scheduler_file_is_waited_for(tmp_path, monkeypatch):
    """Who starts a scheduler and a batch in one script starts them at once."""
    file = tmp_path / "scheduler.json"
    with cluster_here(threads=1) as cluster, ThreadPoolExecutor(1) as pool:
        executor = pool.submit(Cluster, str(file))
        file.write_text(json.dumps({"address": cluster.scheduler_address}))
        executor.result().shutdown()
    monkeypatch.setattr("napari_xrf.scale.executors._PATIENCE_SECONDS", 0)
    with pytest.raises(XrfError, match="no scheduler file"):
        Cluster(str(tmp_path / "other.json"))


def test_tasks_of_one_process_wait_for_each_other(tmp_path):
    """The threads are limited for the whole process: what ended first would lift that for the other."""
    files, at_once, most = texts(tmp_path / "in", "a", "b", "c"), [], []

    def work(file, place):
        at_once.append(file)
        time.sleep(0.05)
        most.append(len(at_once))
        at_once.remove(file)
        return {}, []

    tasks = [Entry(str(file), file.stem, "measure", "", "waiting") for file in files]
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda task: do_task(task, work, tmp_path), tasks))
    assert [entry.status for entry in done] == ["done"] * 3
    assert most == [1, 1, 1]


def test_a_cluster_that_does_not_answer(maps, capsys, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("napari_xrf.scale.executors._PATIENCE_SECONDS", 0.2)
    code, _, err = run(capsys, "batch", "info", maps, "-o", tmp_path, "--scheduler", "tcp://127.0.0.1:9")
    assert code == 1
    assert "no scheduler answers at tcp://127.0.0.1:9" in err
