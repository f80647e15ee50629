"""Guesses the encoding of names that do not state it, as in zip files of other systems."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gan_infer.errors import OptionError

UTF_8: Final = "utf-8"
# Any bytes can be read in it; zip files use it by default.
FALLBACK: Final = "cp437"

# Frequent characters of names, by language. A guess needs most of a name, not all of it.
_CHINESE: Final = frozenset(
    "的一是不了在人有我他这中大来上国和地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经"
    "么去法学如都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知"
    "全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次"
    "度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感"
    "建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式"
    "色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运笔图片照像集测试训练验证数据标签"
    "猫狗鸟鱼牛羊猪鸡鸭鹅兔鼠虎狮豹熊狼狐鹿象猴蛇龟蛙虫蝶蜂蚁蛛花草树木叶果苹梨桃橘橙柠檬葡萄香蕉西瓜草莓樱菠萝番茄土豆胡萝卜"
    "白菜黄红绿蓝紫黑灰粉棕汽车飞机船火公共自行摩托卡货客轿人脸男女老孩婴手脚头眼鼻嘴耳房屋桥塔楼路街道河湖海山云雨雪风雷电"
    "太阳月亮星星球衣服裤鞋帽包裙衬衫袜椅桌床灯门窗杯碗盘刀叉勺锅瓶盒书笔纸钟表电脑手机键盘鼠标相机正常异常良性恶性病健康左右"
    "春夏秋冬早晚新旧桌面文件夹副本未命名我们动植物水杉松竹兰菊梅荷莲玫瑰牡丹向日葵食品饮料米饭茶咖啡牛奶面包蛋糕糖肉菜汤零一二"
    "三四五六七八九十百千甲乙丙丁苗稻麦玉棉布铁钢铜银石沙玻璃塑料纸板垃圾可回收厨余有害其他"
)
_TRADITIONAL: Final = frozenset(
    "的一是不了在人有我他這中大來上國和地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種事成方多經"
    "麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心本前開但因只從想實日軍者意無力它與長把機十民第公此已工使情明性知"
    "全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西斯月話合回特代內信表化老給世位次"
    "度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活爾更別打女變四神總何電數安少報才結反受目太量再感"
    "圖片照像集測試訓練驗證數據標籤類別資料夾檔案"
    "貓狗鳥魚牛羊豬雞鴨鵝兔鼠虎獅豹熊狼狐鹿象猴蛇龜蛙蟲蝶蜂蟻蛛花草樹木葉果蘋梨桃橘橙檸檬葡萄香蕉西瓜草莓櫻鳳梨番茄馬鈴薯胡蘿蔔"
    "白菜黃紅綠藍紫黑灰粉棕汽車飛機船火公共自行摩托卡貨客轎人臉男女老孩嬰手腳頭眼鼻嘴耳房屋橋塔樓路街道河湖海山雲雨雪風雷電"
    "太陽月亮星球衣服褲鞋帽包裙襯衫襪椅桌床燈門窗杯碗盤刀叉匙鍋瓶盒書筆紙鐘錶電腦鍵盤滑鼠相機正常異常良性惡性病健康左右"
    "春夏秋冬早晚新舊蘭菊梅荷蓮玫瑰牡丹向日葵食品飲料米飯茶咖啡牛奶麵包蛋糕糖肉湯零五六七八九百千甲乙丙丁台灣臺北"
)
_JAPANESE: Final = frozenset(
    "日一国会人年大十二本中長出三同時政事自行社見月分議後前民生連五発間対上部東者党地合市業内相方四定今回新場金員九入選立開手"
    "米力学問高代明実円関決子動京全目表戦経通外最言氏現理調体化田当八六約主題下首意法不来作性的要用制治度務強気小七成期公野協取"
    "都和統以機平総加山思家話世受区領多県続進正安設保改数記院女初北午指権心界支第産結百派点教報済書府活原先共得解名交資予川向際"
    "査勝面委告軍文反元重近千考判認画海参売利組知案道信策集在件団別物側任引使求所次水半品昨論計死官増係感特情投示変打男基私各始"
    "島直両朝革価式確村提運終挙果西勢減台広容必応演電歳住争談能無再位置企真流格有疑口過局少放税検藤町常校料沢裁状工建語球営空職"
    "猫犬鳥魚牛馬豚鶏兎鼠虎熊狼狐鹿象猿蛇亀蛙虫蝶蜂花草木葉実林檎梨桃苺葡萄桜松竹梅白黒赤青緑黄紫灰茶色車飛船自転電気人顔男"
    "女子供手足頭目鼻口耳家屋橋塔道川海山空雲雨雪風星月太陽服靴帽子机椅子写真画像訓練学習検証試験正常異常良品不良左右春夏秋冬"
    "朝昼夜食飯肉菜果物卵酒湯零甲乙丙丁新規々東京都大阪府"
)
_KOREAN: Final = frozenset(
    "가각간갈감값강같개객거건걸검것게겨격결경계고곡곤골곰공과관광괴교구국군굴권귀규균그극근글금급기긴길김까깔깨꼬꽃끼나난날남납"
    "내너널네녀년노녹논농높누눈뉴느는늘능니다단달담당대더덕데도독돈돌동돼되된두둑드득든들등디따딸때떡또뚜라락란람랑래량러런럼레력련"
    "령로록론롱료루류률르른름릉리린림립마만말맛망매맥머먹면멸명모목몬몽무묵문물미민밀바박반발밤방배백버번벌범벚베벼변별병보복볶본봄봉"
    "부북분불브블비빈빌빛빨뻐뿔사산살삼상새색샘생서석선설섬성세센셔소속손솔송쇠수숙순술숫숭스슬습승시식신실심십싱싸쌀쓰씨아악안알암앙"
    "애액야약양어언얼엄업없에여역연열염엽영예오옥온올옷와완왕외요용우욱운울움웅원월위유육윤율으은을음의이인일임입잉자작잔잠장재쟁저적전"
    "절점접정제조족존종좋좌주죽준줄중즈증지직진질집짐짜째쪽차착찬참창채책처척천철첫청체초촌총추축출충치친칠칩카칼캐커컴케코콜콩쿠크클키"
    "타탁탄탈탑태택터테토통투트특티파판팔패팩퍼페편평포폭표푸풀품풍프플피필하학한할함합항해핵행향허험헤혁현혈협형혜호혹혼홍화확환활황회획"
    "효후훈휴흑흰희히힘강아지고양이돼지토끼호랑이사자곰원숭이뱀개구리나비꿀벌꽃잎나무사과배바나나포도수박딸기자동차비행기빨강파랑초록노랑검정"
    "하양사진그림훈련시험검증정상비정상데이터라벨폴더새새로운문서한국어숫자왼오른쪽봄여름가을겨울눈코입귀손발머리얼굴늑숲룩긁렴럭슴빔빵뚝찌짬튀묘견웅섬닭콤섯끈량볼큰작"
)
_LATIN: Final = frozenset(
    "äöüßéèêëàâáãåæçñóòôõøíìîïúùûýÿœšžčřěůńśźżłąęőűğışžďťňÄÖÜÉÈÊÀÂÁÅÆÇÑÓÔÕØÍÎÚÛÝŒŠŽČŘĚŮŃŚŹŻŁĄĘŐŰİŞ"
)
_RARE_LATIN: Final = frozenset("ŽžŠšŒŸ")
_RUSSIAN: Final = frozenset("абвгдеёжзийклмнопрстуфхцчшщъыьэюя")
_FREQUENT_RUSSIAN: Final = frozenset("оеаинтсрвлкмдпу")

# How much a character of the right script counts that is not among the frequent ones.
_RARE: Final = 0.7
_RARE_SYLLABLE: Final = 0.3

_Rate = Callable[[str, int], float]


def check(name: str) -> str:
    """Return the name by which Python knows an encoding.

    Raises:
        OptionError: there is none of that name, or it is not for texts.
    """
    try:
        codec = codecs.lookup(name)
        "a".encode(name)
        b"a".decode(name)
    except (LookupError, ValueError, TypeError):
        raise OptionError(
            f"--zip-encoding {name!r} is no encoding; give one such as utf-8, gbk, big5, cp932, euc-kr"
        ) from None
    return codec.name


def guess(names: Iterable[bytes]) -> str:
    """Return the encoding in which names make the most sense together, by rules alone.

    UTF-8 if all of them are valid in it; else the code page in which most letters are usual ones.

    Args:
        names: parts of paths, some with bytes above 127.
    """
    parts = sorted({part for name in names for part in name.split(b"/") if not part.isascii()})
    if not parts:
        return UTF_8
    if _decode(parts, UTF_8) is not None:
        return UTF_8
    best, encoding = 0.0, FALLBACK
    for candidate, rate in _CANDIDATES:
        texts = _decode(parts, candidate)
        if texts is not None and (found := _score(texts, rate)) > best:
            best, encoding = found, candidate
    return encoding


def _decode(parts: Sequence[bytes], encoding: str) -> list[str] | None:
    try:
        return [part.decode(encoding) for part in parts]
    except ValueError:
        return None


def _score(texts: Sequence[str], rate: _Rate) -> float:
    """Return how usual the letters beyond ASCII are on average, 0 to 1."""
    values = [rate(text, at) for text in texts for at, letter in enumerate(text) if not letter.isascii()]
    return sum(values) / max(1, len(values))


def _rate_by_rows(frequent: frozenset[str], encoding: str, low: int, high: int) -> _Rate:
    """Rate by a list of frequent characters, and by the rows of a code page that hold the usual ones."""

    def rate(text: str, at: int) -> float:
        letter = text[at]
        if letter in frequent:
            return 1.0
        if unicodedata.east_asian_width(letter) == "F" or unicodedata.category(letter)[0] == "P":
            return 0.6
        row = letter.encode(encoding)[0]
        usual = low <= row <= high and unicodedata.category(letter) == "Lo"
        return (_RARE_SYLLABLE if "\uac00" <= letter <= "\ud7a3" else _RARE) * usual

    return rate


def _rate_japanese(text: str, at: int) -> float:
    letter = text[at]
    if "\u3041" <= letter <= "\u3096" or "\u30a1" <= letter <= "\u30fc":
        return 0.5 if _is_plain_letter(_get_neighbours(text, at)) else 1.0
    return _KANJI(text, at)


_KANJI: Final = _rate_by_rows(_JAPANESE, "cp932", 0x88, 0x97)


def _rate_latin(text: str, at: int) -> float:
    letter = text[at]
    if unicodedata.category(letter) in ("Pf", "Pd"):  # an apostrophe, a dash
        return 0.5
    if letter not in _LATIN:
        return 0.0
    before, after = text[max(0, at - 1) : at], text[at + 1 : at + 2]
    if letter.isupper() and (before.islower() or (before.isupper() and after.islower())):
        return 0.2
    if letter.islower() and after.isupper():
        return 0.2
    if not _is_plain_letter(text[max(0, at - 2) : at + 3]):
        return 0.3
    usual = 0.8 if letter in _RARE_LATIN else 1.0
    return usual if _is_plain_letter(before + after) else 0.6


def _rate_russian(text: str, at: int) -> float:
    letter = text[at]
    if letter.lower() not in _RUSSIAN or _is_plain_letter(_get_neighbours(text, at)):
        return 0.0
    if letter.isupper() and text[max(0, at - 1) : at].islower():
        return 0.0
    return 1.0 if letter.lower() in _FREQUENT_RUSSIAN else 0.5


def _get_neighbours(text: str, at: int) -> str:
    return text[max(0, at - 1) : at] + text[at + 1 : at + 2]


def _is_plain_letter(letters: str) -> bool:
    return any(letter.isascii() and letter.isalpha() for letter in letters)


# Of equal scores the first wins.
_CANDIDATES: Final[tuple[tuple[str, _Rate], ...]] = (
    ("cp932", _rate_japanese),
    ("cp1252", _rate_latin),
    ("cp437", _rate_latin),
    ("cp850", _rate_latin),
    ("gbk", _rate_by_rows(_CHINESE, "gbk", 0xB0, 0xD7)),
    ("big5", _rate_by_rows(_TRADITIONAL, "big5", 0xA4, 0xC6)),
    ("cp949", _rate_by_rows(_KOREAN, "cp949", 0xB0, 0xC8)),
    ("cp866", _rate_russian),
    ("cp1251", _rate_russian),
    ("cp1250", _rate_latin),
    ("cp852", _rate_latin),
)
