"""A page of forms that scrolls, as the docks' tabs are, and the tabs over a plot."""

from collections.abc import Iterable
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import (
    QFormLayout,
    QFrame,
    QLayout,
    QScrollArea,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_xrf.plugin.forms.parameter_form import Section, form_label

_BAR = 24  # pixels of a scroll bar and its frame
_FORM = 230  # pixels of the page above a plot


class Page(QScrollArea):  # type: ignore[misc]
    """A column of forms that scrolls up and down only."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[Any] = []
        column = QWidget()
        self._layout = QVBoxLayout(column)
        self._layout.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setWidget(column)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def add(self, part: Any, *, label: str | None = None, section: str = "", is_open: bool = True) -> Any:
        """Add a form or a choice, with a label beside it or in a section of its own; returns it."""
        self._parts.append(part)
        if section:
            self._layout.addWidget(Section(section, part, is_open=is_open))
        elif label is not None:
            line = QFormLayout()
            line.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
            line.addRow(form_label(label), part)
            self._layout.addLayout(line)
        else:
            self._layout.addWidget(part)
        if hasattr(part, "changed"):
            part.changed.connect(self.changed.emit)
        return part

    def carry(self, part: QWidget) -> None:
        """Take what several pages share, one at a time, below the page's own parts, to scroll with them."""
        self._layout.addWidget(part)

    def minimumSizeHint(self) -> QSize:
        """Ask for the width of the parts, which would be cut: it scrolls up and down only."""
        return QSize(self.widget().minimumSizeHint().width() + _BAR, super().minimumSizeHint().height())

    def problem(self) -> str:
        """Return what is wrong first with its visible parts, or an empty text."""
        for part in self._parts:
            message = _problem_of(part) if part.isEnabled() else ""
            if message:
                return message
        return ""


class TabsOverPlot(QSplitter):  # type: ignore[misc]
    """Pages in tabs, and below them a plot that is hidden until there is something to draw.

    ``pages``: titles and pages. ``plot``: the plot. ``share``: its height in pixels at first; the bar above
    it moves.
    """

    def __init__(self, pages: Iterable[tuple[str, QWidget]], plot: QWidget, share: int) -> None:
        super().__init__(Qt.Orientation.Vertical)
        self._plot, self._share = plot, share
        self.tabs = QTabWidget()
        for title, page in pages:
            self.tabs.addTab(page, title)
        for place, part in enumerate((self.tabs, plot)):
            self.addWidget(part)
            self.setStretchFactor(place, 1 - place)
        self.setChildrenCollapsible(False)
        plot.hide()

    def show_plot(self) -> None:
        """Show the plot, in its share of the height when it was hidden."""
        if self._plot.isHidden():
            self._plot.show()
            self.setMinimumHeight(self._share + _FORM)  # a low dock scrolls: the form is not squeezed out
            self.setSizes([self.height() - self._share, self._share])


class BesideOrBelow(QSplitter):  # type: ignore[misc]
    """A plot and its controls: beside each other where there is width, below each other where there is not.

    ``plot``: the plot, which takes what is left. ``controls``: scroll where they have not enough room.
    """

    def __init__(self, plot: QWidget, controls: QLayout) -> None:
        super().__init__()
        inner = QWidget()
        inner.setLayout(controls)
        self.scroll = QScrollArea()
        self.scroll.setWidget(inner)
        self.scroll.setWidgetResizable(True)
        self.scroll.setFrameShape(QFrame.Shape.NoFrame)
        for place, part in enumerate((plot, self.scroll)):
            self.addWidget(part)
            self.setStretchFactor(place, 1 - place)
        self.setChildrenCollapsible(False)

    def resizeEvent(self, event: Any) -> None:
        """Turn with the shape that the dock has."""
        wide = self.width() > 1.3 * self.height()
        turned = Qt.Orientation.Horizontal if wide else Qt.Orientation.Vertical
        needs = self.scroll.widget().minimumSizeHint()  # which the window's style has widened by now
        self.scroll.setMinimumWidth(min(needs.width() + _BAR, self.width() // 2) if wide else 0)
        if turned != self.orientation():
            self.setOrientation(turned)
            whole, needed = (self.width(), needs.width() + _BAR) if wide else (self.height(), needs.height())
            self.setSizes([max(whole - needed, whole // 2), min(needed, whole // 2)])
        super().resizeEvent(event)


def _problem_of(part: Any) -> str:
    problem = getattr(part, "problem", "")
    return str(problem() if callable(problem) else problem)
