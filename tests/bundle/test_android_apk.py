"""An app with an Android bundle's assets, by Android's own tools: packed, aligned, signed and verified."""

import mmap
import re
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgenet.bundle.make import Bundle
from tests.bundle.small import small_bundle

PACKAGES = "aapt apksigner zipalign libsmali-java android-framework-res"
PROGRAMS = ("aapt", "aapt2", "apksigner", "zipalign", "smali", "keytool")
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
ANDROID = "{http://schemas.android.com/apk/res/android}"
LOCAL_HEADER_BYTES = 30  # of a ZIP file, before a member's name and its extra field
PAGES_BYTES = (4096, 16384)

CODE = """.class public Lcom/example/app/Main;
.super Landroid/app/Activity;
.method public constructor <init>()V
    .registers 1
    invoke-direct {p0}, Landroid/app/Activity;-><init>()V
    return-void
.end method
"""


@dataclass(frozen=True)
class App:
    """A signed app, the bundle whose assets it has, and the folder that both lie in."""

    path: Path
    bundle: Bundle
    folder: Path

    @property
    def member(self) -> str:
        """The model's place in the app."""
        return self.bundle.record.model.removeprefix("src/main/")


def _run(*words: object, folder: Path) -> str:
    done = subprocess.run([str(word) for word in words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words[0]}: {done.stdout}{done.stderr}"
    return done.stdout


def _merged_manifest(bundle: Bundle, folder: Path) -> Path:
    """Write the module's manifest as the app's: with the package that its build names, and something to start."""
    build = (bundle.path / "build.gradle.kts").read_text(encoding="utf-8")
    namespace = re.search('namespace = "(.*)"', build)
    assert namespace is not None
    ElementTree.register_namespace("android", ANDROID[1:-1])
    tree = ElementTree.parse(bundle.path / "src/main/AndroidManifest.xml")  # of our own making
    root = tree.getroot()
    root.set("package", namespace[1])
    root.set(f"{ANDROID}versionCode", "1")
    application = root.find("application")
    assert application is not None
    ElementTree.SubElement(application, "activity", {f"{ANDROID}name": "com.example.app.Main"})
    path = folder / "AndroidManifest.xml"
    tree.write(path, encoding="utf-8", xml_declaration=True)
    return path


def _link(bundle: Bundle, manifest: Path, stored: Sequence[str], out: Path) -> Path:
    """Pack the bundle's assets into an app; files whose names end with one of `stored` are not compressed."""
    options = [word for suffix in stored for word in ("-0", suffix)]
    levels = ("--min-sdk-version", 26, "--target-sdk-version", 29)
    assets = bundle.path / "src/main/assets"
    # This aapt2 is older than <uses-native-library>, which it takes with a warning.
    _run(
        "aapt2", "link", "-o", out, "-I", FRAMEWORK, "--manifest", manifest, "-A", assets, *options, *levels,
        "--warn-manifest-validation", folder=out.parent,
    )  # fmt: skip
    return out


def _stored(bundle: Bundle) -> list[str]:
    """Return the ends of names that the module's build leaves uncompressed, with the dot that Gradle puts before."""
    build = (bundle.path / "build.gradle.kts").read_text(encoding="utf-8")
    return [f".{suffix}" for suffix in re.findall(r'noCompress \+= "(\w+)"', build)]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    """Return an app of a bundle's assets and a class, signed."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None] + [FRAMEWORK] * (not FRAMEWORK.exists())
    if missing:
        pytest.skip(f"needs {', '.join(map(str, missing))}: apt-get install {PACKAGES} default-jre-headless")
    folder = tmp_path_factory.mktemp("apk")
    bundle = small_bundle(folder, "android")
    base = _link(bundle, _merged_manifest(bundle, folder), _stored(bundle), folder / "base.apk")
    (folder / "smali").mkdir()
    (folder / "smali" / "Main.smali").write_text(CODE, encoding="utf-8")
    _run("smali", "assemble", "-a", 26, "-o", "classes.dex", "smali", folder=folder)
    with zipfile.ZipFile(base, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "classes.dex", "classes.dex")
    _run("zipalign", "-f", "-p", 4, base, "aligned.apk", folder=folder)
    password = "only-for-this-test"  # of a key that is thrown away
    _run(
        "keytool", "-genkeypair", "-keystore", "keys.p12", "-storetype", "PKCS12", "-storepass", password,
        "-alias", "key", "-keyalg", "RSA", "-keysize", 2048, "-validity", 1, "-dname", "CN=test", folder=folder,
    )  # fmt: skip
    _run(
        "apksigner", "sign", "--ks", "keys.p12", "--ks-pass", f"pass:{password}", "--ks-key-alias", "key",
        "--out", "app.apk", "aligned.apk", folder=folder,
    )  # fmt: skip
    return App(folder / "app.apk", bundle, folder)


def _offset(apk: Path, member: str) -> int:
    """Return where a member's bytes begin in an app; its local header has names and padding of its own length."""
    with zipfile.ZipFile(apk) as archive:
        header = archive.getinfo(member).header_offset
    name_bytes, extra_bytes = struct.unpack_from("<HH", apk.read_bytes(), header + LOCAL_HEADER_BYTES - 4)
    return header + LOCAL_HEADER_BYTES + int(name_bytes) + int(extra_bytes)


@pytest.mark.slow
def test_the_app_is_signed_and_names_the_modules_package(app: App) -> None:
    verified = _run("apksigner", "verify", "--verbose", app.path, folder=app.folder)
    assert verified.startswith("Verifies\n")
    assert "v2 scheme (APK Signature Scheme v2): true" in verified
    badging = _run("aapt", "dump", "badging", app.path, folder=app.folder)
    assert "package: name='com.example.lite0_classifier'" in badging
    assert "sdkVersion:'26'" in badging
    manifest = _run("aapt", "dump", "xmltree", app.path, "AndroidManifest.xml", folder=app.folder)
    assert "uses-native-library" in manifest
    assert "libOpenCL.so" in manifest


@pytest.mark.slow
def test_one_changed_byte_of_the_model_breaks_the_signature(app: App, tmp_path: Path) -> None:
    changed = bytearray(app.path.read_bytes())
    changed[_offset(app.path, app.member) + 1000] ^= 1
    (tmp_path / "changed.apk").write_bytes(changed)
    command = ["apksigner", "verify", str(tmp_path / "changed.apk")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "DOES NOT VERIFY" in done.stdout + done.stderr


@pytest.mark.slow
def test_the_model_is_stored_byte_for_byte_at_a_multiple_of_four(app: App) -> None:
    model = (app.bundle.path / app.bundle.record.model).read_bytes()
    with zipfile.ZipFile(app.path) as archive:
        assert archive.getinfo(app.member).compress_type == zipfile.ZIP_STORED
        assert archive.read(app.member) == model
    offset = _offset(app.path, app.member)
    assert offset % 4 == 0
    assert app.path.read_bytes()[offset : offset + len(model)] == model
    _run("zipalign", "-c", 4, app.path, folder=app.folder)


@pytest.mark.slow
def test_a_suffix_without_its_dot_leaves_the_model_compressed(app: App) -> None:
    """Why the build says it to Gradle, which puts the dot: aapt2 takes `-0 tflite` and stores nothing by it."""
    manifest = app.folder / "AndroidManifest.xml"
    assert _stored(app.bundle) == [".tflite"]
    packed = _link(app.bundle, manifest, ["tflite"], app.folder / "no-dot.apk")
    with zipfile.ZipFile(packed) as archive:
        assert archive.getinfo(app.member).compress_type == zipfile.ZIP_DEFLATED


@pytest.mark.slow
@pytest.mark.parametrize("page_bytes", PAGES_BYTES)
def test_the_model_can_be_mapped_whatever_the_size_of_a_page(app: App, page_bytes: int) -> None:
    """From the page that its first byte lies in, as Android does it: a model need not begin where a page begins."""
    model = (app.bundle.path / app.bundle.record.model).read_bytes()
    offset = _offset(app.path, app.member)
    before = offset % page_bytes
    assert before > 0
    with app.path.open("rb") as file:
        length = before + len(model)
        with mmap.mmap(file.fileno(), length, access=mmap.ACCESS_READ, offset=offset - before) as mapped:
            assert mapped[before:] == model


@pytest.mark.slow
def test_nothing_in_the_app_has_to_be_ready_for_pages_of_16_kb(app: App) -> None:
    """Only native libraries have to, and those come from elsewhere: the bundle brings none, and says so."""
    with zipfile.ZipFile(app.path) as archive:
        names = archive.namelist()
        assert [name for name in names if archive.read(name).startswith(b"\x7fELF")] == []
    assert {name for name in names if name.startswith("assets/")} == {
        f"assets/lite0_classifier/{name}" for name in ("labels.txt", "model.tflite", "preprocessing.json")
    }
    assert "zipalign -c -P 16" in (app.bundle.path / "README.md").read_text(encoding="utf-8")
