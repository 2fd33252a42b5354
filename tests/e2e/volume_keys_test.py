"""Every key of a mount, as it is seen from inside the container and in the kernel's tables."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
import unittest

from harness import DaemonTest, busybox_archive, wait_until

SLEEPER = "image: busybox, init: true, command: sleep 1000"
RUNC = ("--runtime", shutil.which("runc", path="/usr/sbin:/usr/bin:/usr/local/bin"))


def image_archive(folder, name, config, fill):
    """A docker-archive of busybox with one layer more, which `fill` makes in a folder."""
    made = pathlib.Path(tempfile.mkdtemp(dir=folder))
    with tarfile.open(busybox_archive()) as busybox:
        busybox.extractall(made)
    (made / "more").mkdir()
    fill(made / "more")
    subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "-C", made / "more", "-cf", made / "more.tar", "."], check=True)
    document = json.loads((made / "config.json").read_text())
    document["config"].update(config)
    document["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256((made / "more.tar").read_bytes()).hexdigest())
    (made / "config.json").write_text(json.dumps(document))
    (made / "manifest.json").write_text(json.dumps(
        [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar", "more.tar"]}]))
    archive = made / "image.tar"
    subprocess.run(["tar", "-C", made, "-cf", archive, "manifest.json", "config.json", "layer.tar", "more.tar"], check=True)
    return archive


class KeysTest(DaemonTest):
    def inside(self, service, command):
        return self.compose("exec", "-T", service, "sh", "-c", command).stdout

    def up_fails(self, *words):
        up = self.compose("up", "-d", check=False)
        self.assertEqual(up.returncode, 1, up.stderr)
        for word in words:
            self.assertIn(word, up.stderr)

    def volumes(self):
        return {path.name for path in (self.state / "volume").iterdir()}

    def data_image(self, text="data", name="data:1"):
        def fill(root):
            (root / "srv/deep").mkdir(parents=True)
            (root / "srv/deep/f").write_text(text)
            (root / "srv/up").symlink_to("/etc/passwd")
        self.compose("load", "-i", str(image_archive(self.folder, name, {}, fill)))


class SubpathTest(KeysTest):
    def test_a_part_of_a_volume(self):
        self.write(f"name: sub\nservices:\n  a: {{{SLEEPER}, volumes: ['v:/v']}}\n"
                   f"  b:\n    image: busybox\n    init: true\n    command: sleep 1000\n    profiles: [later]\n    volumes:\n"
                   "      - {type: volume, source: v, target: /folder, volume: {subpath: one/two}}\n"
                   "      - {type: volume, source: v, target: /file, read_only: true, volume: {subpath: one/f}}\nvolumes: {v: }\n")
        self.compose("up", "-d")
        failed = self.compose("--profile", "later", "up", "-d", check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn('volume "sub_v": subpath "one/two": No such file or directory', failed.stderr)
        self.inside("a", "mkdir -p /v/one/two; echo file > /v/one/f; echo in > /v/one/two/g")
        self.compose("--profile", "later", "up", "-d")
        self.assertEqual(self.inside("b", "cat /folder/g /file; echo new > /folder/h; echo no > /file; ls /folder"), "in\nfile\ng\nh\n")
        self.assertEqual(self.inside("a", "cat /v/one/two/h"), "new\n")
        self.compose("restart", "-t", "0", "b")
        self.assertEqual(self.inside("b", "cat /folder/g"), "in\n")

    def test_a_link_in_a_volume_leads_nowhere_but_into_it(self):
        secret = self.folder / "secret"
        secret.mkdir()
        (secret / "s").write_text("the host's")
        self.write(f"name: sub\nservices:\n  a: {{{SLEEPER}, volumes: ['v:/v']}}\n"
                   "  b: {image: busybox, init: true, command: sleep 1000, profiles: [later],"
                   " volumes: [{type: volume, source: v, target: /x, volume: {subpath: link}}]}\nvolumes: {v: }\n")
        self.compose("up", "-d")
        for target in str(secret), "../../../../../../../.." + str(secret), "/proc/1/root":
            self.inside("a", f"rm -f /v/link; ln -s {target} /v/link")
            failed = self.compose("--profile", "later", "up", "-d", check=False)
            self.assertEqual(failed.returncode, 1, target)
            self.assertIn('volume "sub_v": subpath "link"', failed.stderr)
        self.inside("a", f"mkdir -p /v{secret}; echo ours > /v{secret}/s; rm /v/link; ln -s {secret} /v/link")
        self.compose("--profile", "later", "up", "-d")
        self.assertEqual(self.inside("b", "cat /x/s"), "ours\n")

    def test_a_subpath_that_leads_out_is_refused(self):
        for subpath in "../x", "a/../../x", "/etc":
            self.write(f"name: sub\nservices:\n  a: {{{SLEEPER}, volumes: [{{type: volume, source: v, target: /x, volume: {{subpath: {subpath}}}}}]}}\n"
                       "volumes: {v: }\n")
            self.up_fails("subpath", subpath)


class ImageMountTest(KeysTest):
    def test_an_image_is_mounted_read_only_and_never_seen_on_the_host(self):
        self.data_image()
        self.write(f"name: im\nservices:\n  a:\n    image: busybox\n    init: true\n    command: sleep 1000\n    volumes:\n"
                   "      - {type: image, source: 'data:1', target: /all}\n      - {type: image, source: 'data:1', target: /part, image: {subpath: srv/deep}}\n"
                   "      - {type: image, source: 'data:1', target: /one, image: {subpath: srv/up}}\n      - {type: image, source: busybox, target: /bb}\n")
        self.compose("up", "-d")
        self.assertEqual(self.inside("a", "cat /all/srv/deep/f /part/f; echo; head -n1 /one; ls /bb/bin/busybox"),
                         "datadata\nroot:x:0:0:root:/root:/bin/sh\n/bb/bin/busybox\n")
        for place in "/all/x", "/part/x", "/bb/x":
            self.assertIn("Read-only", self.compose("exec", "-T", "a", "touch", place, check=False).stderr)
        self.assertNotIn(str(self.folder), pathlib.Path("/proc/self/mountinfo").read_text())
        self.compose("up", "-d")
        before = self.container("a")["id"]
        self.data_image("newer")
        self.compose("up", "-d")
        self.assertNotEqual(self.container("a")["id"], before)
        self.assertEqual(self.inside("a", "cat /part/f"), "newer")
        used = self.api("/images/data:1", method="DELETE")
        self.assertEqual(used["error"]["kind"] if "error" in used else used["kind"], "conflict")

    def test_a_missing_part_and_a_missing_image_are_named(self):
        self.data_image()
        mount = "services:\n  a: {" + SLEEPER + ", volumes: [{type: image, source: '%s', target: /x, image: {subpath: %s}}]}\n"
        self.write("name: im\n" + mount % ("data:1", "srv/none"))
        self.up_fails('image "data:1": subpath "srv/none": No such file or directory')
        self.write("name: im\n" + mount % ("127.0.0.1:1/no/such:1", "x"))
        self.up_fails("127.0.0.1:1/no/such:1")


class BindTest(KeysTest):
    def with_inner_mount(self, shared=False):
        """A folder of the host with another mount in it."""
        folder = self.folder / "outer"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "outer", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", "-R", folder], check=False)
        subprocess.run(["mount", "--make-shared" if shared else "--make-private", folder], check=True)
        (folder / "inner").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "inner", folder / "inner"], check=True)
        (folder / "inner/f").write_text("f")
        return folder

    def test_what_read_only_means_for_the_mounts_below(self):
        folder = self.with_inner_mount()
        modes = "".join(f"      - {{type: bind, source: '{folder}', target: /{mode}, read_only: true, bind: {{recursive: {mode}}}}}\n"
                        for mode in ("enabled", "disabled", "writable", "readonly"))
        self.write(f"name: rec\nservices:\n  a:\n    image: busybox\n    init: true\n    command: sleep 1000\n    volumes:\n"
                   f"{modes}      - '{folder}:/short:ro'\n      - '{folder}:/rw'\n")
        self.compose("up", "-d")
        def written(place):
            return self.compose("exec", "-T", "a", "touch", place, check=False).returncode == 0
        for mode in "enabled", "disabled", "writable", "readonly", "short":
            self.assertFalse(written(f"/{mode}/x"), mode)
        self.assertEqual({mode: written(f"/{mode}/inner/x") for mode in ("enabled", "writable", "readonly", "short", "rw")},
                         {"enabled": False, "writable": True, "readonly": False, "short": False, "rw": True})
        self.assertEqual(self.inside("a", "ls /disabled/inner"), "")
        self.assertTrue((folder / "inner/x").exists())
        self.compose("down", "-t", "0")

    def test_recursive_without_read_only_is_refused(self):
        for mode in "readonly", "writable":
            self.write(f"name: rec\nservices:\n  a: {{{SLEEPER}, volumes: [{{type: bind, source: /tmp, target: /x, bind: {{recursive: {mode}}}}}]}}\n")
            self.up_fails("recursive", mode, "read_only")

    def test_propagation(self):
        folder = self.with_inner_mount(shared=True)
        self.write("name: prop\nservices:\n  a:\n    image: busybox\n    init: true\n    privileged: true\n    command: sleep 1000\n    volumes:\n" +
                   "".join(f"      - {{type: bind, source: '{folder}', target: /{how}, bind: {{propagation: {how}}}}}\n"
                           for how in ("rprivate", "rslave", "rshared")))
        self.compose("up", "-d")
        (folder / "late").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "late", folder / "late"], check=True)
        (folder / "late/f").write_text("f")
        self.assertEqual(self.inside("a", "cd /; ls -d */late/f"), "rshared/late/f\nrslave/late/f\n")
        self.inside("a", "mkdir /rshared/own /rslave/own2; mount -t tmpfs own /rshared/own; mount -t tmpfs own2 /rslave/own2")
        table = pathlib.Path("/proc/self/mountinfo").read_text()
        self.assertIn(f"{folder}/own ", table)
        self.assertNotIn(f"{folder}/own2", table)
        self.compose("down", "-t", "0")

    def test_propagation_of_a_mount_that_has_none_is_refused(self):
        folder = self.with_inner_mount()
        for how in "shared", "rslave":
            self.write(f"name: prop\nservices:\n  a: {{{SLEEPER}, volumes: [{{type: bind, source: '{folder}', target: /x, bind: {{propagation: {how}}}}}]}}\n")
            self.up_fails(str(folder), how, "not shared")
        self.write(f"name: prop\nservices:\n  a: {{{SLEEPER}, volumes: [{{type: bind, source: '{folder}', target: /x, bind: {{propagation: up}}}}]}}\n")
        self.up_fails("bind.propagation", '"up"')

    def test_selinux_without_selinux_is_told_once(self):
        self.write(f"name: se\nservices:\n  a: {{{SLEEPER}, volumes: ['{self.folder}/z:/z:z']}}\n")
        up = self.compose("up", "-d")
        if not pathlib.Path("/sys/fs/selinux/enforce").exists():
            self.assertEqual(up.stderr.count('services.a.volumes: /z: selinux "z" has no effect'), 1, up.stderr)
            self.assertIn('selinux "z" has no effect', (self.folder / "log").read_text())

    def test_a_source_that_may_not_be_made(self):
        nowhere = self.folder / "nowhere"
        self.write(f"name: b\nservices:\n  a: {{{SLEEPER}, volumes: [{{type: bind, source: '{nowhere}', target: /x, bind: {{create_host_path: false}}}}]}}\n")
        self.up_fails(str(nowhere), "does not exist")
        self.assertFalse(nowhere.exists())
        self.write(f"name: b\nservices:\n  a: {{{SLEEPER}, volumes: ['{nowhere}:/x']}}\n")
        self.compose("up", "-d")
        self.assertTrue(nowhere.is_dir())

    def test_types_of_other_systems(self):
        for kind, said in ("npipe", "Windows"), ("cluster", "Swarm"):
            self.write(f"name: o\nservices:\n  a: {{{SLEEPER}, volumes: [{{type: {kind}, source: x, target: /x}}]}}\n")
            self.up_fails(f"type {kind} is of {said}", "/x")


class BindOnRuncTest(BindTest):
    arguments = RUNC


class SubpathOnRuncTest(SubpathTest):
    arguments = RUNC


class ImageMountOnRuncTest(ImageMountTest):
    arguments = RUNC


class TmpfsTest(KeysTest):
    def test_size_and_mode(self):
        self.write(f"name: t\nservices:\n  a: {{{SLEEPER}, volumes: [{{type: tmpfs, target: /t, tmpfs: {{size: 64k, mode: 0750}}}},"
                   " {type: tmpfs, target: /r, read_only: true}]}\n")
        self.compose("up", "-d")
        self.assertEqual(self.inside("a", "stat -c %a /t; grep -c ' /t tmpfs .*size=64k' /proc/mounts; touch /r/x 2>/dev/null || echo refused"),
                         "750\n1\nrefused\n")


class VolumesFromTest(KeysTest):
    def test_those_of_a_service_and_of_a_container(self):
        def fill(root):
            (root / "image").mkdir()
            (root / "image/f").write_text("image\n")
        self.compose("load", "-i", str(image_archive(self.folder, "with:1", {"Volumes": {"/image": {}}}, fill)))
        bound = self.folder / "bound"
        bound.mkdir()
        (bound / "f").write_text("bound\n")
        self.write("name: from\nservices:\n"
                   f"  data: {{image: 'with:1', init: true, command: sleep 1000, tmpfs: [/mine], volumes: ['named:/named', /anonymous, '{bound}:/bound', 'own:/own']}}\n"
                   f"  a: {{{SLEEPER}, volumes_from: [data], volumes: ['other:/own']}}\n"
                   f"  b: {{{SLEEPER}, volumes_from: ['a:ro']}}\n"
                   f"  c: {{{SLEEPER}, volumes_from: ['container:from-data-1:ro'], depends_on: [data]}}\nvolumes: {{named: , own: , other: }}\n")
        self.compose("up", "-d")
        self.inside("data", "echo named > /named/f; echo anonymous > /anonymous/f; echo own > /own/f")
        for service in "a", "b", "c":
            self.assertEqual(self.inside(service, "cat /named/f /anonymous/f /bound/f /image/f"), "named\nanonymous\nbound\nimage\n", service)
        self.assertEqual(self.inside("a", "ls /own; ls -d /mine 2>/dev/null; touch /named/x /bound/x && echo written"), "written\n")
        for service in "b", "c":
            for place in "named", "anonymous", "bound", "image":
                self.assertIn("Read-only", self.compose("exec", "-T", service, "touch", f"/{place}/y", check=False).stderr)
        self.assertEqual(self.inside("c", "cat /own/f"), "own\n")
        before = {each["service"]: each["id"] for each in self.containers()}
        self.compose("up", "-d")
        self.assertEqual({each["service"]: each["id"] for each in self.containers()}, before)
        self.compose("up", "-d", "--force-recreate", "data")
        self.assertEqual(self.inside("a", "cat /anonymous/f"), "anonymous\n")

    def test_who_has_the_volumes_of_one_that_is_made_anew_is_made_anew(self):
        text = f"name: from\nservices:\n  data: {{{SLEEPER}, environment: {{A: '%s'}}, volumes: [/d%s]}}\n  a: {{{SLEEPER}, volumes_from: [data]}}\n"
        self.write(text % (1, ""))
        self.compose("up", "-d")
        self.write(text % (2, ", /more"))
        self.compose("up", "-d")
        self.inside("data", "echo f > /more/f")
        self.assertEqual(self.inside("a", "cat /more/f"), "f\n")

    def test_one_that_there_is_none_of(self):
        self.write(f"name: from\nservices:\n  a: {{{SLEEPER}, volumes_from: ['container:nobody']}}\n")
        self.up_fails("volumes_from", "nobody")
        self.write(f"name: from\nservices:\n  a: {{{SLEEPER}, volumes_from: ['a2:rx']}}\n  a2: {{{SLEEPER}}}\n")
        self.up_fails("volumes_from", "a2:rx")


class AnonymousTest(KeysTest):
    def test_targets_that_look_alike_and_replicas_have_their_own(self):
        self.write(f"name: an\nservices:\n  s: {{{SLEEPER}, scale: 2, volumes: [/a-b, /a/b, '/with space']}}\n")
        self.compose("up", "-d")
        self.assertEqual(len(self.volumes()), 6)
        self.compose("exec", "-T", "--index", "1", "s", "sh", "-c", "echo 1 > /a-b/f; echo 2 > /a/b/g")
        self.assertEqual(self.compose("exec", "-T", "--index", "1", "s", "ls", "/a-b", "/a/b").stdout.split(), ["/a-b:", "f", "/a/b:", "g"])
        self.assertEqual(self.compose("exec", "-T", "--index", "2", "s", "ls", "/a-b", "/a/b").stdout.split(), ["/a-b:", "/a/b:"])

    def test_one_with_a_name_of_an_earlier_version_is_kept(self):
        self.write(f"name: an\nservices:\n  s: {{{SLEEPER}, volumes: [/a/b]}}\n")
        self.compose("up", "-d")
        self.inside("s", "echo old > /a/b/f")
        self.compose("down", "-t", "0")
        self.stop_daemon()
        [name], former = self.volumes(), "an-s-1-a-b"
        with contextlib.closing(sqlite3.connect(self.state / "state.db")) as store:
            [(value,)] = store.execute("SELECT value FROM volume WHERE key = ?", (name,)).fetchall()
            record = json.loads(value) | {"name": former}
            store.execute("UPDATE volume SET key = ?, value = ? WHERE key = ?", (former, json.dumps(record), name))
            store.commit()
        (self.state / "volume" / name).rename(self.state / "volume" / former)
        self.start_daemon()
        self.compose("up", "-d")
        self.assertEqual((self.inside("s", "cat /a/b/f"), self.volumes()), ("old\n", {former}))
        self.compose("up", "-d", "-V", "-t", "0")
        self.assertEqual(self.inside("s", "ls /a/b"), "")
        self.assertEqual(self.volumes(), {name})

    def test_up_V_renews_them_and_nothing_else(self):
        self.write(f"name: an\nservices:\n  s: {{{SLEEPER}, volumes: [/d, 'named:/n']}}\n  t: {{{SLEEPER}, volumes_from: [s]}}\n  u: {{{SLEEPER}}}\nvolumes: {{named: }}\n")
        self.compose("up", "-d")
        self.inside("s", "echo f > /d/f; echo f > /n/f")
        before = {each["service"]: each["id"] for each in self.containers()}
        created = {each["name"]: each["created"] for each in self.api("/volumes")}
        self.compose("up", "-d", "-V", "-t", "0")
        self.assertEqual(self.inside("s", "ls /d /n"), "/d:\n\n/n:\nf\n")
        self.assertEqual(self.inside("t", "ls /d"), "")
        self.inside("s", "echo g > /d/g")
        self.assertEqual(self.inside("t", "cat /d/g"), "g\n")
        self.assertEqual(len(self.volumes()), 2)
        self.assertEqual(self.container("u")["id"], before["u"])
        now = {each["name"]: each["created"] for each in self.api("/volumes")}
        self.assertEqual([name for name in now if now[name] == created.get(name)], ["an_named"])

    def test_up_V_does_not_wait_for_what_run_has_left(self):
        self.write(f"name: an\nservices:\n  s: {{{SLEEPER}, volumes: [/d]}}\n  t: {{{SLEEPER}, volumes_from: [s]}}\n")
        self.compose("up", "-d")
        self.inside("s", "echo f > /d/f")
        self.compose("run", "-T", "t", "true")
        self.compose("up", "-d", "-V", "-t", "0")
        self.assertEqual(self.inside("s", "ls /d"), "")
        self.inside("s", "echo f > /d/f")
        before = self.containers("s")[0]["id"]
        self.compose("run", "-d", "--name", "busy", "t", "sleep", "1000")
        refused = self.compose("up", "-d", "-V", "-t", "0", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn('is to be renewed and container "busy", made by `run` or a schedule, has it; remove that container first', refused.stderr)
        self.assertEqual((self.inside("s", "ls /d"), self.containers("s")[0]["id"]), ("f\n", before))

    def test_rm_v_removes_them(self):
        self.write(f"name: an\nservices:\n  s: {{{SLEEPER}, volumes: [/d, 'named:/n']}}\n  t: {{{SLEEPER}, volumes: [/e]}}\nvolumes: {{named: }}\n")
        self.compose("up", "-d")
        self.assertEqual(len(self.volumes()), 3)
        self.compose("rm", "-s", "-f", "-v", "s")
        self.assertEqual(len(self.volumes()), 2)
        self.assertIn("an_named", self.volumes())
        self.compose("rm", "-s", "-f", "t")
        self.assertEqual(len(self.volumes()), 2)

    def test_labels_of_a_mount(self):
        self.write(f"name: an\nservices:\n  s: {{{SLEEPER}, volumes: [{{type: volume, target: /d, volume: {{labels: {{mine: '1'}}}}}}]}}\n")
        self.compose("up", "-d")
        [volume] = self.api("/volumes")
        self.assertEqual(volume["labels"]["mine"], "1")


class ListTest(KeysTest):
    def test_volumes(self):
        self.write(f"name: li\nservices:\n  a: {{{SLEEPER}, volumes: ['one:/x']}}\n  b: {{{SLEEPER}, volumes: ['two:/x']}}\n"
                   "volumes: {one: {labels: {mine: yes}}, two: {name: second}}\n")
        self.compose("up", "-d")
        self.assertEqual(self.compose("volumes").stdout, "DRIVER    VOLUME NAME\nlocal     li_one\nlocal     second\n")
        self.assertEqual(self.compose("volumes", "-q", "b").stdout, "second\n")
        [line] = self.compose("volumes", "--format", "json", "a").stdout.splitlines()
        volume = json.loads(line)
        self.assertEqual((volume["Name"], volume["Driver"], volume["Scope"]), ("li_one", "local", "local"))
        self.assertEqual(volume["Mountpoint"], str(self.state / "volume/li_one/_data"))
        labels = dict(each.split("=", 1) for each in volume["Labels"].split(","))
        self.assertEqual(labels, {"mine": "yes", "com.docker.compose.project": "li", "com.docker.compose.volume": "one",
                                  "com.docker.compose.version": "2.40.3"})
        self.assertEqual(self.compose("volumes", "--format", "{{.Name}}").stdout, "li_one\nsecond\n")
        for wrong in ["nosuch"], ["--format", "{{.Nope}}"]:
            refused = self.compose("volumes", *wrong, check=False)
            self.assertEqual((refused.returncode, refused.stdout), (1, ""))
            self.assertIn(wrong[-1].strip("{}."), refused.stderr)
        self.compose("down", "-t", "0")
        self.assertIn("no such service: nosuch", self.compose("volumes", "nosuch", check=False).stderr)

    def test_those_that_are_made_by_hand(self):
        self.write(f"name: li\nservices:\n  a: {{{SLEEPER}, volumes: ['data:/d']}}\nvolumes: {{data: {{external: true, name: theirs}}}}\n")
        self.up_fails("volume theirs declared as external, but could not be found; make it with: compose volume create theirs")
        for _ in range(2):
            self.assertEqual(self.compose("volume", "create", "theirs", "-l", "mine=yes", "--opt", "type=tmpfs", "-o", "device=tmpfs",
                                          "--driver-opt", "o=size=1m").stdout, "theirs\n")
        other = self.compose("volume", "create", "theirs", check=False)
        self.assertIn('volume "theirs" is there already, with other options', other.stderr)
        for wrong, words in (["a/b"], '"a/b"'), (["x", "-o", "size=1"], "driver_opts.size is not known"), (["-d", "nfs", "x"], "nfs"):
            refused = self.compose("volume", "create", *wrong, check=False)
            self.assertNotEqual(refused.returncode, 0, wrong)
            self.assertIn(words, refused.stderr)
        self.compose("up", "-d")
        self.assertIn("size=1024k", self.inside("a", "grep ' /d ' /proc/mounts"))
        [volume] = self.api("/volumes")
        self.assertEqual((volume["project"], volume["labels"]), ("", {"mine": "yes"}))
        self.assertEqual(self.compose("volume", "ls", "-q").stdout, "theirs\n")
        self.assertRegex(self.compose("volume", "ls").stdout, r"theirs .* li-a-1\n")
        self.compose("stop", "-t", "0")
        refused = self.compose("volume", "rm", "theirs", "nosuch", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn('volume "theirs" is in use by li-a-1; remove these first', refused.stderr)
        self.assertIn('volume "nosuch": there is none of that name', refused.stderr)
        self.compose("down", "-v")
        self.assertEqual(self.volumes(), {"theirs"})
        self.compose("volume", "rm", "theirs")
        self.assertEqual((self.volumes(), self.compose("volume", "ls", "-q").stdout), (set(), ""))


class DriverTest(KeysTest):
    def test_nfs_names_the_volume_and_the_reason(self):
        self.write(f"name: n\nservices:\n  a: {{{SLEEPER}, volumes: ['v:/v:nocopy']}}\n"
                   "volumes: {v: {driver_opts: {type: nfs, o: 'addr=127.0.0.1,vers=4,soft,timeo=1,retrans=0', device: ':/x'}}}\n")
        self.up_fails('volume "n_v": mount nfs ":/x"')
        self.compose("down", "-v")
        self.write(f"name: n\nservices:\n  a: {{{SLEEPER}, volumes: ['v:/v:nocopy']}}\n"
                   "volumes: {v: {driver_opts: {type: nfs, o: 'vers=4,addr=no-such-host.invalid', device: ':/x'}}}\n")
        self.up_fails('volume "n_v"', "no-such-host.invalid")
        self.compose("down", "-v")
        self.write(f"name: n\nservices:\n  a: {{{SLEEPER}, volumes: ['v:/v:nocopy']}}\n"
                   "volumes: {v: {driver_opts: {type: nfs, o: 'addr=localhost,vers=4,soft', device: ':/x'}}}\n")
        self.up_fails("127.0.0.1" if "::1 localhost" not in pathlib.Path("/etc/hosts").read_text() else "addr=")

    def test_an_unknown_driver(self):
        self.write(f"name: n\nservices:\n  a: {{{SLEEPER}, volumes: ['v:/v']}}\nvolumes: {{v: {{driver: rexray}}}}\n")
        self.up_fails("volumes.v.driver", '"rexray"', "local")

    def test_an_external_volume_is_used_and_left(self):
        self.write(f"name: owner\nservices:\n  a: {{{SLEEPER}, volumes: ['v:/v']}}\nvolumes: {{v: {{name: theirs}}}}\n")
        self.compose("up", "-d")
        self.inside("a", "echo f > /v/f")
        self.write(f"name: guest\nservices:\n  g: {{{SLEEPER}, volumes: ['v:/v']}}\nvolumes: {{v: {{external: true, name: theirs}}}}\n", "guest.yaml")
        self.compose("-f", "guest.yaml", "up", "-d")
        self.assertEqual(self.compose("-f", "guest.yaml", "exec", "-T", "g", "cat", "/v/f").stdout, "f\n")
        self.compose("-f", "guest.yaml", "down", "-v", "-t", "0")
        self.assertEqual(self.inside("a", "cat /v/f"), "f\n")

    def test_another_definition_of_one_that_is_there_is_told(self):
        text = f"name: n\nservices:\n  a: {{{SLEEPER}, volumes: ['v:/v']}}\nvolumes: {{v: {{driver_opts: {{type: tmpfs, device: tmpfs, o: 'size=%s'}}}}}}\n"
        self.write(text % "1m")
        self.compose("up", "-d")
        self.write(text % "2m")
        self.assertIn("keeps the driver_opts it was made with", self.compose("up", "-d").stderr)


class CopyUpTest(KeysTest):
    def fill(self, root):
        (root / "data/sub").mkdir(parents=True)
        (root / "data/one").write_text("x" * 100)
        os.link(root / "data/one", root / "data/sub/two")
        (root / "data/link").symlink_to("one")
        os.setxattr(root / "data/one", "user.mine", b"value")
        os.chown(root / "data/one", 33, 33)
        (root / "data/one").chmod(0o4750)
        os.chown(root / "data", 12, 34)
        (root / "data").chmod(0o1770)

    def check(self, folder):
        one, two = folder / "one", folder / "sub/two"
        self.assertEqual((one.stat().st_ino, one.stat().st_nlink), (two.stat().st_ino, 2))
        self.assertEqual((one.stat().st_uid, one.stat().st_gid, one.stat().st_mode & 0o7777), (33, 33, 0o4750))
        self.assertEqual((folder.stat().st_uid, folder.stat().st_gid, folder.stat().st_mode & 0o7777), (12, 34, 0o1770))
        self.assertEqual(os.readlink(folder / "link"), "one")
        self.assertEqual(os.getxattr(one, "user.mine"), b"value")

    def test_owners_modes_attributes_and_links_are_kept(self):
        self.compose("load", "-i", str(image_archive(self.folder, "full:1", {}, self.fill)))
        services = "".join(f"  s{number}: {{image: 'full:1', init: true, command: sleep 1000, volumes: ['v:/data']}}\n" for number in range(4))
        self.write(f"name: cu\nservices:\n{services}volumes: {{v: }}\n")
        self.compose("up", "-d")
        self.check(self.state / "volume/cu_v/_data")
        self.assertFalse((self.state / "volume/cu_v/_data.tmp").exists())

    def test_what_a_volume_is_mounted_with_holds_in_the_container(self):
        self.compose("load", "-i", str(image_archive(self.folder, "full:1", {}, self.fill)))
        disk, empty = self.folder / "disk", self.folder / "empty"
        disk.mkdir()
        empty.mkdir()
        shutil.copy("/bin/busybox", disk / "echo")
        self.write(f"""name: cu
services:
  s: {{image: 'full:1', init: true, command: sleep 1000, volumes: ['ro:/ro', 'empty:/data', 'noexec:/noexec', '{disk}:/plain']}}
volumes:
  ro: {{driver_opts: {{type: none, o: 'bind,ro', device: '{disk}'}}}}
  empty: {{driver_opts: {{type: none, o: 'bind,ro', device: '{empty}'}}}}
  noexec: {{driver_opts: {{type: none, o: 'bind,noexec', device: '{disk}'}}}}
""")
        self.compose("up", "-d")
        tried = self.compose("exec", "-T", "s", "sh", "-c", "touch /ro/x; touch /data/x; /noexec/echo run; /plain/echo runs", check=False)
        self.assertEqual(tried.stdout, "runs\n")
        self.assertEqual(tried.stderr.count("Read-only file system"), 2)
        self.assertIn("Permission denied", tried.stderr)
        self.assertEqual((list(empty.iterdir()), sorted(each.name for each in disk.iterdir())), ([], ["echo"]))

    def test_a_mounted_volume_whose_copy_was_cut_short_is_filled_again(self):
        self.compose("load", "-i", str(image_archive(self.folder, "full:1", {}, self.fill)))
        disk = self.folder / "disk"
        (disk / ".composed-half-filled").mkdir(parents=True)
        (disk / "one").write_text("half")
        self.write("name: cu\nservices:\n  s: {image: 'full:1', init: true, command: sleep 1000, volumes: ['v:/data']}\n"
                   f"volumes: {{v: {{driver_opts: {{type: none, o: bind, device: '{disk}'}}}}}}\n")
        self.compose("up", "-d")
        self.check(disk)
        self.assertEqual(sorted(path.name for path in disk.iterdir()), ["link", "one", "sub"])


if __name__ == "__main__":
    unittest.main()
