"""The stub providers: what is read from bindings, what is written, and what Terraform takes it for."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.programs import PROGRAMS, Stubs, stubs
from tests.terraform.stubs.bindings import Bindings
from tests.terraform.stubs.generate import PROVIDERS, SCHEMAS, generate, written
from tests.terraform.stubs.plugin import NAMESPACES

# In the shape of CDKTF's bindings: an own type with each kind of attribute and block.
TYPESCRIPT = """
export class ShelfLabelsOutputReference extends cdktf.ComplexObject {
  public constructor(terraformResource: cdktf.IInterpolatingParent, terraformAttribute: string) {
    super(terraformResource, terraformAttribute, false, 0);
  }

  // text - computed: false, optional: false, required: true
  private _text?: string;
  public get text() {
    return this.getStringAttribute('text');
  }
}
export class ShelfBooksOutputReference extends cdktf.ComplexObject {
  // pages - computed: true, optional: true, required: false
  private _pages?: number;
  public get pages() {
    return this.getNumberAttribute('pages');
  }
}
export class ShelfBooksList extends cdktf.ComplexList {
}
export class ShelfTimeoutsOutputReference extends cdktf.ComplexObject {
  public constructor(terraformResource: cdktf.IInterpolatingParent, terraformAttribute: string) {
    super(terraformResource, terraformAttribute, false);
  }

  // create - computed: false, optional: true, required: false
  private _create?: string;
  public get create() {
    return this.getStringAttribute('create');
  }
}
export class Shelf extends cdktf.TerraformResource {
  public static readonly tfResourceType = "demo_shelf";

  public constructor(scope: Construct, id: string, config: ShelfConfig) {
    super(scope, id, { providerVersion: '1.2.3' });
  }

  // arn - computed: true, optional: false, required: false
  public get arn() {
    return this.getStringAttribute('arn');
  }

  // owners - computed: false, optional: true, required: false
  private _owners?: string[];
  public get owners() {
    return cdktf.Fn.tolist(this.getListAttribute('owners'));
  }

  // tags_all - computed: true, optional: false, required: false
  private _tagsAll = new cdktf.StringMap(this, "tags_all");
  public get tagsAll() {
    return this._tagsAll;
  }

  // found - computed: true, optional: false, required: false
  private _found = new ShelfBooksList(this, "found", false);
  public get found() {
    return this._found;
  }

  // rules - computed: true, optional: true, required: false
  private _rules = new ShelfBooksList(this, "rules", true);
  public get rules() {
    return this._rules;
  }

  // books - computed: false, optional: true, required: false
  private _books = new ShelfBooksList(this, "books", true);
  public get books() {
    return this._books;
  }

  // labels - computed: false, optional: false, required: true
  private _labels = new ShelfLabelsOutputReference(this, "labels");
  public get labels() {
    return this._labels;
  }

  // timeouts - computed: false, optional: true, required: false
  private _timeouts = new ShelfTimeoutsOutputReference(this, "timeouts");
  public get timeouts() {
    return this._timeouts;
  }

  protected synthesizeAttributes(): { [name: string]: any } {
    return {
      rules: cdktf.listMapper(shelfBooksToTerraform, false)(this._rules.internalValue),
      books: cdktf.listMapper(shelfBooksToTerraform, true)(this._books.internalValue),
    };
  }
}
"""
PROVIDER = """
export interface DemoProviderAssumeRole {
  /**
  * Docs at Terraform Registry: {@link https://registry.example.org/docs#role_arn DemoProvider#role_arn}
  */
  readonly roleArn?: string;
}
export class DemoProvider extends cdktf.TerraformProvider {
  // region - computed: false, optional: true, required: false
  private _region?: string;
  public get region() {
    return this._region;
  }

  // assume_role - computed: false, optional: true, required: false
  private _assumeRole?: DemoProviderAssumeRole[] | cdktf.IResolvable;
  public get assumeRole() {
    return this._assumeRole;
  }

  // alias - computed: false, optional: true, required: false
  private _alias?: string;
}
"""
BOOK = {"attributes": {"pages": {"type": "number", "computed": True, "optional": True}}}
SHELF = {
    "attributes": {
        "arn": {"type": "string", "computed": True},
        "owners": {"type": ["set", "string"], "optional": True},
        "tags_all": {"type": ["map", "string"], "computed": True},
        "found": {"type": ["list", ["object", {"pages": "number"}]], "computed": True},
        "rules": {"type": ["set", ["object", {"pages": "number"}]], "computed": True, "optional": True},
    },
    "block_types": {
        "books": {"nesting_mode": "set", "block": BOOK},
        "labels": {
            "nesting_mode": "list",
            "block": {"attributes": {"text": {"type": "string", "required": True}}},
            "min_items": 1,
            "max_items": 1,
        },
        "timeouts": {
            "nesting_mode": "single",
            "block": {"attributes": {"create": {"type": "string", "optional": True}}},
        },
    },
}


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as modules:
        for folder, source in (("shelf", TYPESCRIPT), ("provider", PROVIDER)):
            carried = base64.b64encode(json.dumps({"sourcesContent": [source]}).encode()).decode()
            script = f"//# sourceMappingURL=data:application/json;base64,{carried}\n".encode()
            member = tarfile.TarInfo(f"package/lib/{folder}/index.js")
            member.size = len(script)
            modules.addfile(member, io.BytesIO(script))
    path = tmp_path / "cdktf_cdktf_provider_demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("cdktf_cdktf_provider_demo/_jsii/provider-demo@1.0.jsii.tgz", archive.getvalue())
    return path


def test_schemas_are_read_from_bindings(wheel: Path) -> None:
    """Which attribute is required, what is a block, how often it stands and in which collection."""
    schema = generate(Bindings(wheel), {"resource": {"demo_shelf"}, "data": set()})
    assert schema["version"] == "1.2.3"
    assert schema["resource_schemas"]["demo_shelf"] == {"version": 0, "block": SHELF}
    assert schema["provider"]["block"]["attributes"] == {"region": {"type": "string", "optional": True}}
    assume = schema["provider"]["block"]["block_types"]["assume_role"]
    assert assume["block"]["attributes"] == {"role_arn": {"type": "string", "optional": True}}


def test_a_type_that_the_bindings_lack_is_named(wheel: Path) -> None:
    """A misspelt type stops the generator with its name."""
    with pytest.raises(SystemExit, match="no resource demo_shelv"):
        Bindings(wheel).resource("demo_shelv", False)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_schemas_are_as_the_generator_writes_them(provider: str) -> None:
    """Nobody edited them: sorted, one type a line."""
    text = (SCHEMAS / f"{provider}.json").read_text(encoding="utf-8")
    assert written(json.loads(text)) == text


@pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is on PATH")
def test_terraform_reads_the_schemas_as_they_are(served: Stubs, tmp_path: Path) -> None:
    """What ``providers schema`` tells of the stubs is what stands in the files: types, flags, blocks, their number."""
    needed = "\n".join(f'{name} = {{ source = "{NAMESPACES[name]}/{name}" }}' for name in PROVIDERS)
    (tmp_path / "main.tf").write_text(f"terraform {{\nrequired_providers {{\n{needed}\n}}\n}}\n", encoding="utf-8")
    printed = json.loads(served.run(PROGRAMS[0], tmp_path, "providers", "schema", "-json").stdout)
    for name in PROVIDERS:
        stored = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
        host = "registry.terraform.io" if PROGRAMS[0] == "terraform" else "registry.opentofu.org"
        shown = printed["provider_schemas"][f"{host}/{NAMESPACES[name]}/{name}"]
        assert _bare(shown["provider"]["block"]) == _bare(stored["provider"]["block"])
        for kind in ("resource_schemas", "data_source_schemas"):
            assert {key: _bare(value["block"]) for key, value in shown.get(kind, {}).items()} == {
                key: _bare(value["block"]) for key, value in stored[kind].items()
            }


def _bare(block: dict[str, Any]) -> dict[str, Any]:
    """A block without the descriptions that Terraform adds to each attribute."""
    attributes = {
        name: {key: value for key, value in attribute.items() if key != "description_kind"}
        for name, attribute in block.get("attributes", {}).items()
    }
    blocks = {
        name: {**nested, "block": _bare(nested["block"])} for name, nested in block.get("block_types", {}).items()
    }
    return {"attributes": attributes, "blocks": blocks}


@pytest.mark.skipif(not PROGRAMS, reason="neither terraform nor tofu is on PATH")
def test_a_provider_ends_with_its_tests(tmp_path: Path) -> None:
    """Nothing stays behind: neither the process nor its sockets."""
    with stubs(tmp_path) as running:
        sockets = [Path(server["Addr"]["String"]) for server in json.loads(running.reattach).values()]
        assert all(socket.is_socket() for socket in sockets)
    assert not any(socket.exists() for socket in sockets)
